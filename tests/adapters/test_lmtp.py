"""The mail system next door hands over: each recipient answered for alone, once it is kept."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from directory.adapters import lmtp
from directory.adapters.lmtp import listen, serve_until
from directory.domain.errors import SettingsInvalid, Unavailable
from tests.support import eventually

LETTER = b"Subject: x\r\n\r\n.dot\r\nhello\r\n"


class Keeper:
    """Keeps what it is given, but for recipients it has trouble with."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, str, str]] = []
        self.trouble: dict[str, Exception] = {}

    def __call__(self, content: bytes, sender: str, recipient: str) -> bool:
        if error := self.trouble.get(recipient):
            raise error
        known = (content, sender, recipient) in self.kept
        self.kept.append((content, sender, recipient))
        return not known


@contextlib.contextmanager
def serving(listener: socket.socket, keeper: Keeper, *, timeout_s: float = 5) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    ready = threading.Event()

    def run() -> None:
        loop.run_until_complete(
            serve_until(listener, keeper, stop, ready=ready.set, timeout_s=timeout_s)
        )
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        listener.close()


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def port(keeper: Keeper, tmp_path: Path) -> Iterator[int]:
    listener = listen("127.0.0.1:0", tmp_path)
    with serving(listener, keeper):
        yield listener.getsockname()[1]


def hand_over(client: smtplib.LMTP, sender: str, *recipients: str) -> list[bytes]:
    """The replies after the dot, one for each recipient."""
    client.ehlo_or_helo_if_needed()
    client.mail(sender)
    for recipient in recipients:
        client.rcpt(recipient)
    client.docmd("DATA")
    client.send(LETTER.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    return [str(client.getreply()[0]).encode() for _ in recipients]


def test_each_recipient_has_its_own_answer_and_its_own_copy(port, keeper):
    """Seen to fail with one reply for all, as the library gives."""
    keeper.trouble["full@x.example"] = Unavailable("locked")
    keeper.trouble["odd@x.example"] = ZeroDivisionError()

    with smtplib.LMTP("127.0.0.1", port, local_hostname="here") as client:
        replies = hand_over(
            client, "", "a@x.example", "full@x.example", "odd@x.example", "b@x.example"
        )
        assert replies == [b"250", b"451", b"451", b"250"]
        assert keeper.kept == [(LETTER, "", "a@x.example"), (LETTER, "", "b@x.example")]

        keeper.trouble.clear()
        assert hand_over(client, "", "full@x.example") == [b"250"]
        assert hand_over(client, "", "full@x.example") == [b"250"]  # kept before is as good


def test_it_greets_as_lmtp_and_not_as_smtp(port):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="here") as client:
        assert client.docmd("EHLO here")[0] == 500
        assert client.docmd("LHLO here")[0] == 250


def test_limits_put_off_and_lose_nothing(port, keeper, monkeypatch):
    monkeypatch.setattr(lmtp, "RECIPIENTS", 2)
    monkeypatch.setattr(lmtp, "CONNECTIONS", 1)
    with smtplib.LMTP("127.0.0.1", port, local_hostname="here") as client:
        client.ehlo()
        client.mail("")
        assert [client.rcpt(f"{n}@x.example")[0] for n in range(3)] == [250, 250, 452]
        with pytest.raises(smtplib.SMTPConnectError) as told:
            smtplib.LMTP("127.0.0.1", port, local_hostname="here")
        assert told.value.smtp_code == 421

    def again() -> bool:
        with smtplib.LMTP("127.0.0.1", port, local_hostname="here") as client:
            return hand_over(client, "", "a@x.example") == [b"250"]

    assert eventually(again)
    assert [to for _, _, to in keeper.kept] == ["a@x.example"]


def test_a_message_that_is_too_long_is_refused_and_not_kept_in_memory(
    keeper, tmp_path, monkeypatch
):
    monkeypatch.setattr(lmtp, "SIZE_LIMIT", 1_000)
    listener = listen("127.0.0.1:0", tmp_path)
    with serving(listener, keeper):
        port = listener.getsockname()[1]
        with smtplib.LMTP("127.0.0.1", port, local_hostname="here") as client:
            client.ehlo()
            assert client.esmtp_features["size"] == "1000"
            client.mail("")
            client.rcpt("a@x.example")
            assert client.data(b"x" * 5_000)[0] == 552
            assert hand_over(client, "", "a@x.example") == [b"250"]
    assert len(keeper.kept) == 1


def test_a_long_line_is_no_reason_to_refuse(port, keeper):
    with smtplib.LMTP("127.0.0.1", port, local_hostname="here") as client:
        client.ehlo()
        client.mail("a@b.example", ["SMTPUTF8"])
        client.rcpt("a@x.example")
        assert client.data("停车".encode() + b"x" * 50_000)[0] == 250
    assert len(keeper.kept[0][0]) > 50_000


def test_a_client_that_falls_silent_or_away_holds_nobody(keeper, tmp_path):
    listener = listen("127.0.0.1:0", tmp_path)
    with serving(listener, keeper, timeout_s=0.2):
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as silent:
            silent.settimeout(5)
            assert silent.recv(100).startswith(b"220")
            assert eventually(lambda: silent.recv(100) == b"" or True)
        with socket.create_connection(("127.0.0.1", port)) as gone:
            gone.sendall(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.example>\r\nDATA\r\nSubject")
        with smtplib.LMTP("127.0.0.1", port, local_hostname="here") as client:
            assert hand_over(client, "", "b@x.example") == [b"250"]
    assert [to for _, _, to in keeper.kept] == ["b@x.example"]


# Where it listens


def test_it_listens_at_a_file_that_a_killed_server_left(keeper, tmp_path):
    first = listen("unix:var/lmtp.sock", tmp_path)
    path = tmp_path / "var" / "lmtp.sock"
    assert path.stat().st_mode & 0o777 == 0o660
    with pytest.raises(OSError, match="in use"):
        listen("unix:var/lmtp.sock", tmp_path)
    first.close()

    second = listen("unix:var/lmtp.sock", tmp_path)
    with serving(second, keeper):
        client = smtplib.LMTP(local_hostname="here")
        client.connect(str(path))
        assert hand_over(client, "", "a@x.example") == [b"250"]
        client.quit()


@pytest.mark.parametrize("where", ["2424", "x:y", "127.0.0.1:99999", ":25", "127.0.0.1:"])
def test_a_place_that_is_none_is_refused(where, tmp_path):
    with pytest.raises(SettingsInvalid, match=r"inbound\.lmtp"):
        listen(where, tmp_path)


def test_a_port_in_use_is_told(tmp_path):
    taken = listen("127.0.0.1:0", tmp_path)
    port: Any = taken.getsockname()[1]
    with pytest.raises(OSError):
        listen(f"127.0.0.1:{port}", tmp_path)
    taken.close()
