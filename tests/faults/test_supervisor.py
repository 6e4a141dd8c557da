"""The whole service by one command: ready, kept up, and gone when it should be (F3, P17)."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.serving import Service, all_gone, gone, running
from tests.support import eventually
from tests.web.pages import TYPED


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Service]:
    with running(["demo", "--port", "0", "--dir", str(tmp_path / "kept")], tmp_path / "log") as it:
        yield it


def mails(service: Service) -> list[dict[str, str]]:
    found = json.loads(service.get("/dev/mailbox.json").body)["items"]
    assert isinstance(found, list)
    return found


def submit(service: Service, **changes: str) -> str:
    """Send an enquiry; its status page's path."""
    answer = service.ask(
        "POST", "/en/enquiries", service.form() | TYPED | {"topic": "not-sure"} | changes
    )
    assert answer.status_code == 303, answer.body
    return answer.location


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_a_demo_answers_takes_an_enquiry_and_its_mail_arrives(demo: Service) -> None:
    """The sentence on the page, the one in the mail: the same reference."""
    assert demo.ready_line == f"ready http://127.0.0.1:{demo.port}/"
    assert demo.up

    where = submit(demo, topic="cooperation", country="")
    page = demo.page(where.partition("?")[0])

    found = eventually(lambda: len(mails(demo)) == 2 and mails(demo), within=15)
    by_kind = {mail["kind"]: mail for mail in found}
    reference = page.one("#reference").text()
    assert by_kind["routed"]["envelope_to"] == ["rdd@jitri.org"]
    assert "liwei@example.com" in by_kind["routed"]["reply_to"]
    assert "jitri.org" not in by_kind["routed"]["from"]
    assert by_kind["acknowledgement"]["envelope_to"] == ["liwei@example.com"]
    assert {mail["ref"] for mail in found} == {reference.strip()}
    eventually(lambda: demo.page(where).one("#status").attributes["data-status"] == "routed")


def test_any_child_that_is_killed_is_started_again_and_nothing_is_lost(demo: Service) -> None:
    for _ in range(2):
        before = demo.children()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        all_gone(before, within=5)
        eventually(lambda: demo.up, within=15, what="the pages are back")

        sent = len(mails(demo))
        submit(demo)

        eventually(lambda sent=sent: len(mails(demo)) == sent + 2, within=20, what="mail is back")
    assert {event["process"] for event in demo.events("process.died")} == {
        *("web", "worker", "mailbox")
    }
    assert demo.process.poll() is None


def test_one_web_process_killed_leaves_the_others_answering(demo: Service) -> None:
    parents = {pid: demo.children(pid) for pid in demo.children()}
    web = next(pid for pid, below in parents.items() if len(below) == 2)
    os.kill(parents[web][0], signal.SIGKILL)

    assert demo.up
    eventually(lambda: len(demo.children(web)) == 2, within=15, what="its place is taken")
    assert not gone(web)


def test_sigterm_ends_everything_in_good_order(demo: Service) -> None:
    family = demo.children()
    assert len(family) >= 5

    started = time.monotonic()
    assert demo.stop() == 0

    assert time.monotonic() - started < 10
    assert all(gone(pid) for pid in family)
    assert is_free(demo.port)
    assert demo.events("process.died") == [] and demo.events("process.failed") == []


def test_ctrl_c_ends_a_demo_and_its_folder_goes_with_it(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with running(["demo", "--port", "0"], tmp_path / "log", TMPDIR=str(scratch)) as demo:
        assert [path.name[:15] for path in scratch.iterdir()] == ["directory-demo-"]

        demo.process.send_signal(signal.SIGINT)

        assert demo.process.wait(20) in {0, 130}
        assert list(scratch.iterdir()) == []


def test_when_the_supervisor_is_killed_its_children_end_and_free_the_port(demo: Service) -> None:
    family = demo.children()
    submit(demo)

    demo.process.kill()
    demo.process.wait(10)

    # Five seconds, and a busy machine.
    eventually(lambda: is_free(demo.port), within=7, what="the port is free")
    all_gone(family, within=1)


def test_after_a_kill_of_all_the_next_start_is_quick_and_sends_what_was_left(
    tmp_path: Path,
) -> None:
    arguments = ["demo", "--port", "0", "--dir", str(tmp_path / "kept")]
    with running(arguments, tmp_path / "log") as first:
        where = submit(first)
        everyone = first.children()
        first.process.kill()
        for pid in everyone:
            if not gone(pid):
                os.kill(pid, signal.SIGKILL)
        all_gone(everyone, within=10)

    with running(arguments, tmp_path / "log") as second:
        # What it takes of a processor: by the clock it is as long only on an idle machine.
        assert second.cpu_seconds_to_ready < 4
        reference = second.page(where.partition("?")[0]).one("#reference").text().strip()
        eventually(lambda: {m["ref"] for m in mails(second)} == {reference}, within=90)
        assert {m["kind"] for m in mails(second)} == {"routed", "acknowledgement"}
