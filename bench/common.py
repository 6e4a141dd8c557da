"""What the measurements share: processor time, machine, load, a mail server that takes all."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import platform
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PATIENCE_S = 60.0


# Processes


def family(pid: int) -> list[int]:
    """*pid* and every living process below it."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(FileNotFoundError):
                found += family(int(child))
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of *pids*, with that of their children that ended."""
    ticks = 0
    for pid in pids:
        # After the name in brackets, which may hold anything: utime, stime, cutime, cstime are
        # the 14th to 17th field of proc(5), counted from 1.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS_A_SECOND


def resident_mb(pid: int) -> float:
    """Resident memory of one process in MB (10^6 bytes), what it shares with others included."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def await_true(look: Callable[[], bool], what: str, within: float = _PATIENCE_S) -> None:
    """Return once *look* is true. Raises TimeoutError after *within* seconds."""
    until = time.monotonic() + within
    while not look():
        if time.monotonic() > until:
            raise TimeoutError(f"{what}: not so within {within:g} s")
        time.sleep(0.02)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def machine(folder: Path) -> str:
    """The machine in a line, with what one synchronised write below *folder* costs."""
    names = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{os.cpu_count()} x {', '.join(names) or platform.machine()}, {memory:.0f} GB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}; "
        f"load {os.getloadavg()[0]:.1f}; fdatasync {sync_ms(folder):.1f} ms"
    )


def sync_ms(folder: Path) -> float:
    """Median milliseconds of writing a page and synchronising it."""
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


# Figures


def percentile(values: Sequence[float], share: float) -> float:
    """The value that *share* (0 to 1) of *values* do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass(slots=True)
class Latencies:
    """Milliseconds from the wish to the end of the answer."""

    ms: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        return percentile(self.ms, 0.5)

    @property
    def p99(self) -> float:
        return percentile(self.ms, 0.99)

    def __str__(self) -> str:
        return (
            f"p50 {self.p50:.1f} p95 {percentile(self.ms, 0.95):.1f} p99 {self.p99:.1f} "
            f"max {max(self.ms):.1f} ms (p99/p50 {self.p99 / self.p50:.1f})"
        )


# Load


def exchange(port: int, request: bytes) -> bytes:
    """One connection, one request, the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        parts = []
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def load(
    port: int, requests: Sequence[bytes], *, clients: int, per_second: float = 0
) -> tuple[Latencies, list[bytes]]:
    """Send *requests*, each on a connection of its own as a visitor would; times and answers.

    With *per_second* each has its time to begin, and its latency counts from then, whether or not
    a client was free (so a stall is seen by all who would have met it). Without, each of
    *clients* sends its next when the last was answered.
    """
    waiting = iter(enumerate(requests))
    turn = threading.Lock()
    result = Latencies()
    answers: list[bytes] = []
    failures: list[BaseException] = []
    begun = time.perf_counter()

    def client() -> None:
        try:
            while True:
                with turn:
                    number, request = next(waiting, (-1, b""))
                if number < 0:
                    return
                started = time.perf_counter()
                if per_second:
                    due = begun + number / per_second
                    time.sleep(max(0.0, due - started))
                    started = due
                answer = exchange(port, request)
                result.ms.append((time.perf_counter() - started) * 1000)
                answers.append(answer)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return result, answers


# Mail


class Sink:
    """A mail server in a process of its own that takes every message and counts it.

    Offers what a smarthost of today offers and answers at once, so that it is cheap beside what
    is measured; its own processor time is not counted.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        self._messages = context.Value("q", 0)
        self._octets = context.Value("q", 0)
        self._port = context.Value("i", 0)
        self._process = context.Process(target=self._serve, daemon=True)
        self._process.start()
        await_true(lambda: bool(self._port.value), "the mail server listens")

    @property
    def port(self) -> int:
        return int(self._port.value)

    @property
    def messages(self) -> int:
        return int(self._messages.value)

    @property
    def octets(self) -> int:
        return int(self._octets.value)

    def close(self) -> None:
        self._process.terminate()
        self._process.join()

    def _serve(self) -> None:
        async def serve() -> None:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: _Take(self), "127.0.0.1", 0)
            self._port.value = server.sockets[0].getsockname()[1]
            await server.serve_forever()

        asyncio.run(serve())

    def took(self, octets: int) -> None:
        """One more message."""
        self._messages.value += 1
        self._octets.value += octets


class _Take(asyncio.Protocol):
    _OFFERS = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 10485760\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._received = bytearray()
        self._in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._received += data
        answers = bytearray()
        while True:
            end = b"\r\n.\r\n" if self._in_data else b"\r\n"
            at = self._received.find(end)
            if at < 0:
                break
            text = bytes(self._received[:at])
            del self._received[: at + len(end)]
            answers += self._answer(text)
        if answers:
            self._transport.write(bytes(answers))

    def _answer(self, text: bytes) -> bytes:
        if self._in_data:
            self._in_data = False
            self._sink.took(len(text))
            return b"250 2.0.0 Ok: queued as 4XYZ\r\n"
        command = text[:4].upper()
        if command == b"EHLO":
            return self._OFFERS
        if command == b"DATA":
            self._in_data = True
            return b"354 go on\r\n"
        if command == b"QUIT":
            self._transport.close()
        return b"250 2.0.0 Ok\r\n"
