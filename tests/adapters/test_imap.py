"""A mailbox looked into by IMAP: each message kept once, whatever the server or we do between."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from directory.adapters import imap
from directory.adapters.imap import ImapFailed, ImapMailbox, Position, Timeouts, look
from directory.domain.errors import SettingsInvalid
from tests.adapters.imap_server import PASSWORD, USER, ImapServer

QUICK = Timeouts(answer_s=0.3, look_s=0.6)
FIRST, SECOND = b"Subject: 1\r\n\r\none\r\n", b"Subject: 2\r\n\r\ntwo\r\n"

authority = trustme.CA()


def server_tls(name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def client_tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def server() -> Iterator[ImapServer]:
    with ImapServer(FIRST, SECOND) as server:
        yield server


def at(server: ImapServer, **changes: Any) -> ImapMailbox:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "username": USER,
        "password": PASSWORD,
        "folder": "INBOX",
        "tls": "none",
    }
    return ImapMailbox(**(values | changes))


class Keeper:
    """Remembers what it took, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.taken: list[bytes] = []
        self.sizes: list[int] = []
        self.position: Position | None = None
        self.failures = failures

    def __call__(self, position: Position, content: bytes, size: int) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is away")
        self.taken.append(content)
        self.sizes.append(size)
        self.position = position


# What is read


def test_each_message_is_taken_once_in_order_and_then_marked_as_seen(server):
    keeper = Keeper()

    assert look(at(server), None, keeper) == 2
    assert look(at(server), keeper.position, keeper) == 0
    server.add(b"Subject: 3\r\n\r\n")
    assert look(at(server), keeper.position, keeper) == 1

    assert keeper.taken == [FIRST, SECOND, b"Subject: 3\r\n\r\n"]
    assert keeper.position == Position(7, 3)
    assert server.flags == {1: {"\\Seen"}, 2: {"\\Seen"}, 3: {"\\Seen"}}


def test_nothing_is_marked_before_it_is_kept(server):
    """Seen to fail with _mark() before take()."""
    keeper = Keeper(failures=1)

    with pytest.raises(RuntimeError):
        look(at(server), None, keeper)
    assert server.flags == {}

    assert look(at(server), keeper.position, keeper) == 2


def test_one_that_somebody_opened_before_is_taken_all_the_same(server):
    server.flags = {1: {"\\Seen"}, 2: {"\\Seen"}}
    keeper = Keeper()

    assert look(at(server), None, keeper) == 2


def test_after_another_uidvalidity_all_is_read_again(server):
    """Seen to fail where the last UID alone decides."""
    keeper = Keeper()

    assert look(at(server), Position(6, 99), keeper) == 2
    assert keeper.position == Position(7, 2)


def test_of_a_long_message_the_beginning_is_fetched(server, monkeypatch):
    monkeypatch.setattr(imap, "LARGEST", 5)
    keeper = Keeper()

    look(at(server), None, keeper)

    assert (keeper.taken[0], keeper.sizes[0]) == (FIRST[:5], len(FIRST))


def test_only_so_many_are_read_in_one_look(server, monkeypatch):
    monkeypatch.setattr(imap, "AT_ONCE", 1)
    keeper = Keeper()

    assert look(at(server), None, keeper) == 1
    assert look(at(server), keeper.position, keeper) == 1
    assert keeper.taken == [FIRST, SECOND]


@pytest.mark.parametrize("abilities", ["UIDPLUS MOVE", "UIDPLUS", ""])
def test_what_is_kept_can_be_moved_out_of_the_way(abilities):
    with ImapServer(FIRST, abilities=abilities) as server:
        look(at(server, move_to="Done"), None, Keeper())

        assert server.folders["Done"] == {1: FIRST}
        left = {} if abilities else {1: FIRST}
        assert server.folders["INBOX"] == left
        if not abilities:
            assert server.flags[1] == {"\\Seen", "\\Deleted"}


def test_a_folder_that_is_not_there_to_move_to_loses_nothing(server, capsys):
    keeper = Keeper()

    assert look(at(server, move_to="Nowhere"), None, keeper) == 2

    assert len(server.folders["INBOX"]) == 2
    assert "imap.not_moved" in capsys.readouterr().out


# What goes wrong


@pytest.mark.parametrize("stage", ["CAPABILITY", "LOGIN", "SELECT", "UID SEARCH", "UID FETCH"])
@pytest.mark.parametrize("act", ["hang", "drip", "drop", "no"])
def test_whatever_a_server_does_a_look_ends_and_nothing_is_lost(server, stage, act):
    keeper = Keeper()
    server.at, server.then = stage, act
    began = time.monotonic()

    with pytest.raises(ImapFailed):
        look(at(server), None, keeper, timeouts=QUICK)

    assert time.monotonic() - began < 5
    server.at = ""
    assert look(at(server), keeper.position, keeper) == 2
    assert keeper.taken == [FIRST, SECOND]


def test_a_message_announced_as_endless_is_not_waited_for(server):
    server.at, server.then = "UID FETCH", "huge"

    with pytest.raises(ImapFailed, match="literal"):
        look(at(server), None, Keeper(), timeouts=QUICK)


def test_a_wrong_password_is_told_without_the_password(server):
    with pytest.raises(ImapFailed) as told:
        look(at(server, password="hush hush"), None, Keeper())

    assert "AUTHENTICATIONFAILED" in str(told.value)
    assert "hush" not in str(told.value) + repr(at(server, password="hush hush"))


def test_nobody_there_is_a_failure(server):
    with pytest.raises(ImapFailed):
        look(at(server, port=1), None, Keeper(), timeouts=QUICK)


# TLS


@pytest.mark.parametrize("tls", ["imaps", "starttls"])
def test_over_tls_the_certificate_is_checked(tls):
    """Seen to fail with imaplib's own context, which checks nothing."""
    with ImapServer(FIRST, tls=server_tls(), implicit_tls=tls == "imaps") as server:
        keeper = Keeper()
        assert look(at(server, tls=tls), None, keeper, tls_context=client_tls()) == 1
        before = len(server.commands)

        with pytest.raises(ImapFailed, match="certificate"):
            look(at(server, tls=tls), None, Keeper())

    assert not any("LOGIN" in command for command in server.commands[before:])


def test_no_password_goes_over_an_open_line_where_tls_is_wanted(server):
    with pytest.raises(ImapFailed, match="TLS"):
        look(at(server, tls="starttls"), None, Keeper())

    assert not any("LOGIN" in command for command in server.commands)


# The address


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("imaps://a@h.example", ("h.example", 993, "a", "", "INBOX", "imaps", "")),
        ("imaps://a%40b:p%3A@h:1/In/Sub", ("h", 1, "a@b", "p:", "In/Sub", "imaps", "")),
        ("imap://a:p@h.example/", ("h.example", 143, "a", "p", "INBOX", "starttls", "")),
        ("imap://a:p@127.0.0.1", ("127.0.0.1", 143, "a", "p", "INBOX", "none", "")),
        ("imap://a:p@h?tls=none&move=Old", ("h", 143, "a", "p", "INBOX", "none", "Old")),
    ],
)
def test_an_address_is_read(url, told):
    box = ImapMailbox.parse(url)

    assert told == (
        *(box.host, box.port, box.username, box.password),
        *(box.folder, box.tls, box.move_to),
    )
    assert ":p" not in str(box)


@pytest.mark.parametrize(
    "url",
    [
        "pop3://a@h",
        "imaps://h.example",
        "imaps://a@",
        "imaps://a@h:x",
        "imaps://a@h?tls=none",
        "imap://a@h?tls=maybe",
        "imaps://a@h?folder=x",
        "imaps://a@h/%E6%94%B6",
        "imaps://a@h/a%0Ab",
    ],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(SettingsInvalid, match=r"inbound\.imap"):
        ImapMailbox.parse(url)
