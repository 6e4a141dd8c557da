"""A small IMAP server in the tests' own process: one account, its folders, and bad manners."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

USER, PASSWORD = "contact", 'it "is" secret'


class ImapServer:
    """Listens on a free port of 127.0.0.1 while entered.

    ``folders`` maps a name to the messages by their UIDs; ``flags`` has those of INBOX.
    ``validity`` is UIDVALIDITY. ``at`` names a command ("UID FETCH") at which the server does what
    ``then`` says: "hang", "drip", "drop", "no", or "huge" (announces more than there is).
    """

    def __init__(
        self,
        *messages: bytes,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        abilities: str = "UIDPLUS MOVE",
    ) -> None:
        self.folders: dict[str, dict[int, bytes]] = {
            "INBOX": dict(enumerate(messages, 1)),
            "Done": {},
        }
        self.flags: dict[int, set[str]] = {}
        self.validity = 7
        self.next_uid = len(messages) + 1
        self.at, self.then = "", ""
        self.commands: list[str] = []
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._abilities = abilities
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self) -> int:
        port = self._listener.getsockname()[1]
        assert isinstance(port, int)
        return port

    def add(self, message: bytes) -> int:
        """Deliver one more into INBOX; its UID."""
        uid, self.next_uid = self.next_uid, self.next_uid + 1
        self.folders["INBOX"][uid] = message
        return uid

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, _Over):
            if self._tls and self._implicit_tls:
                sock = self._secured(sock)
            _Conversation(self, sock).run()
        with contextlib.suppress(OSError):
            sock.close()

    def _secured(self, sock: socket.socket) -> socket.socket:
        assert self._tls is not None
        secured = self._tls.wrap_socket(sock, server_side=True)
        self._sockets.append(secured)
        return secured


class _Over(Exception):
    """This connection is over."""


class _Conversation:
    def __init__(self, server: ImapServer, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.file = sock.makefile("rb")
        self.folder = ""
        self.tls = server._implicit_tls

    def run(self) -> None:
        self.say("* OK ready")
        while line := self.file.readline():
            tag, _, command = line.decode().strip().partition(" ")
            self.server.commands.append(command)
            self.misbehave(tag, command)
            self.answer(tag, command)

    def say(self, text: str | bytes) -> None:
        self.sock.sendall((text.encode() if isinstance(text, str) else text) + b"\r\n")

    def misbehave(self, tag: str, command: str) -> None:
        server = self.server
        if not server.at or not command.upper().startswith(server.at):
            return
        match server.then:
            case "drop":
                self.sock.shutdown(socket.SHUT_RDWR)
                raise _Over
            case "hang":
                server._closing.wait(30)
                raise _Over
            case "drip":
                while not server._closing.wait(0.02):
                    self.sock.sendall(b"*")
                raise _Over
            case "huge":
                self.say("* 1 FETCH (UID 1 RFC822.SIZE 5 BODY[]<0> {999999999}")
                raise _Over
            case "no":
                self.say(f"{tag} NO not today")
                raise _Again

    def answer(self, tag: str, command: str) -> None:
        server, words = self.server, command.split()
        name = words[0].upper()
        if name == "UID":
            name += f" {words[1].upper()}"
        match name:
            case "CAPABILITY":
                offered = " STARTTLS" if server._tls and not self.tls else ""
                self.say(f"* CAPABILITY IMAP4rev1 {server._abilities}{offered}")
            case "STARTTLS":
                self.say(f"{tag} OK go on")
                self.sock = server._secured(self.sock)
                self.file, self.tls = self.sock.makefile("rb"), True
                return
            case "LOGIN":
                given = command.partition(" ")[2]
                wanted = f"{USER} " + '"' + PASSWORD.replace('"', '\\"') + '"'
                if given != wanted:
                    self.say(f"{tag} NO [AUTHENTICATIONFAILED] wrong")
                    return
            case "SELECT":
                self.folder = command.partition(" ")[2].strip('"')
                if self.folder not in server.folders:
                    self.say(f"{tag} NO there is none")
                    return
                self.say(f"* {len(server.folders[self.folder])} EXISTS")
                self.say(f"* OK [UIDVALIDITY {server.validity}] valid")
            case "UID SEARCH":
                first = int(words[3].partition(":")[0])
                uids = sorted(server.folders[self.folder])
                found = [uid for uid in uids if uid >= first] or uids[-1:]
                self.say(" ".join(["* SEARCH", *map(str, found)]))
            case "UID FETCH":
                self.fetch(int(words[2]), command)
            case "UID STORE":
                server.flags.setdefault(int(words[2]), set()).update(re.findall(r"\\\w+", command))
            case "UID COPY" | "UID MOVE":
                target, uid = words[3].strip('"'), int(words[2])
                if target not in server.folders:
                    self.say(f"{tag} NO [TRYCREATE] there is none")
                    return
                server.folders[target][uid] = server.folders[self.folder][uid]
                if name == "UID MOVE":
                    del server.folders[self.folder][uid]
            case "UID EXPUNGE":
                del server.folders[self.folder][int(words[2])]
            case "LOGOUT":
                self.say("* BYE")
                self.say(f"{tag} OK")
                raise _Over
        self.say(f"{tag} OK done")

    def fetch(self, uid: int, command: str) -> None:
        message = self.server.folders[self.folder].get(uid)
        if message is None:
            return
        most = int(command.rpartition("<0.")[2].partition(">")[0])
        part = message[:most]
        head = f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(part)}}}"
        self.sock.sendall(head.encode() + b"\r\n" + part)
        self.say(f" RFC822.SIZE {len(message)})")


class _Again(_Over):
    """The command was refused; what follows does not matter to the tests."""
