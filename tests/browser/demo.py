"""A demo as a person starts it: its own process, its own folder, its own mailbox."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support import ROOT, eventually


class Demo:
    """A demo that is up; ``url`` has no slash at its end."""

    def __init__(self, url: str) -> None:
        self.url = url

    def mails_about(self, ref: str) -> dict[str, dict[str, Any]]:
        """What its mailbox lists about the enquiry *ref*, by kind."""
        with urllib.request.urlopen(f"{self.url}/dev/mailbox.json", timeout=10) as answer:
            listed = json.load(answer)["items"]
        return {mail["kind"]: mail for mail in listed if mail["ref"] == ref}

    def both_mails(self, ref: str) -> dict[str, dict[str, Any]]:
        """The department's mail and the visitor's receipt, once both are in the mailbox."""

        def both() -> dict[str, dict[str, Any]]:
            found = self.mails_about(ref)
            return found if found.keys() >= {"routed", "acknowledgement"} else {}

        return eventually(both, within=15, what=f"two mails about {ref}")

    def source(self, mail: dict[str, Any]) -> bytes:
        """The bytes of a listed *mail* as they were sent."""
        address = f"{self.url}/dev/mailbox/{mail['id']}.eml"
        with urllib.request.urlopen(address, timeout=10) as answer:
            source = answer.read()
            assert isinstance(source, bytes)
            return source


@contextlib.contextmanager
def running_demo(folder: Path, **settings: str) -> Iterator[Demo]:
    """``python -m directory demo`` with *settings* in its environment; ended with the block."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DIRECTORY_")}
    command = [sys.executable, "-m", "directory", "demo", "--port", "0", "--dir", str(folder)]
    with (folder / "demo.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=ours | settings, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdout is not None
        # A demo that never gets ready is ended, which ends the reading of its output as well.
        patience = threading.Timer(60, process.kill)
        patience.start()
        try:
            said = next((line for line in process.stdout if line.startswith("ready ")), "")
            patience.cancel()
            log.seek(0)
            assert said, f"the demo did not start:\n{log.read()}"
            yield Demo(said.split()[1].rstrip("/"))
        finally:
            patience.cancel()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            finally:
                process.kill()
                process.stdout.close()
