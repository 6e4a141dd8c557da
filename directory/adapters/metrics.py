"""Figures for Prometheus: counted by each process, added up by whoever is asked.

Processes count into files of their own in one folder, which prometheus-client maps into memory;
what stands in the database is read there when somebody asks. No label holds anything of a person.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# Up to what a visitor, and then a proxy, waits for.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 1.0, 2.5, 5.0, 10.0)
_DELIVERY_SECONDS = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


class Metrics:
    """What this process counts. Made once a process; *folder* is shared by all of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        forget_the_dead(folder)
        from prometheus_client import Counter, Histogram, values

        # Where the library looks for the folder, and what it would itself have chosen had it been
        # imported after this was set.
        os.environ[_FOLDER] = str(folder)
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
        self._folder = folder
        self._requests = Counter(
            "directory_http_requests_total",
            "Requests answered.",
            ("method", "endpoint", "status"),
            registry=None,
        )
        self._seconds = Histogram(
            "directory_http_request_seconds",
            "Seconds to the answer.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=None,
        )
        self._attempts = Counter(
            "directory_delivery_attempts_total",
            "Tries to hand a message over, by what came of it.",
            ("kind", "outcome"),
            registry=None,
        )
        self._delivered = Histogram(
            "directory_delivery_seconds",
            "Seconds from a message's making to its acceptance.",
            ("kind",),
            buckets=_DELIVERY_SECONDS,
            registry=None,
        )

    def answered(self, method: str, endpoint: str | None, status: int, seconds: float) -> None:
        """Count a request. *endpoint* is a view's name, None where no address matched."""
        endpoint = endpoint or "none"
        method = method if method in _METHODS else "other"
        self._requests.labels(method, endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def tried(self, kind: str, outcome: str) -> None:
        """Count a try of a delivery."""
        self._attempts.labels(kind, outcome).inc()

    def delivered(self, kind: str, seconds: float) -> None:
        """Count an accepted message that was made *seconds* ago."""
        self._delivered.labels(kind).observe(max(seconds, 0.0))

    def text(self, figures: Figures) -> bytes:
        """All processes' counts and *figures*, in the text format."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._folder))  # type: ignore[no-untyped-call]
        registry.register(figures)
        return generate_latest(registry)


@dataclass(frozen=True, eq=False)  # known by itself to the registry
class Figures:
    """What the database says: each a name, an explanation, a label's name, values by the label."""

    gauges: tuple[tuple[str, str, str, Mapping[str, float]], ...]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """As prometheus-client asks for it."""
        from prometheus_client.core import GaugeMetricFamily

        for name, explained, label, values in self.gauges:
            family = GaugeMetricFamily(name, explained, labels=[label] if label else None)
            for value_of, value in values.items():
                family.add_metric([value_of] if label else [], value)
            yield family

    def describe(self) -> Iterator[Any]:
        """Nothing beforehand: the names do not depend on it."""
        return iter(())


def forget_the_dead(folder: Path) -> None:
    """Remove the counts of processes that are no more; Prometheus knows that counters restart."""
    for file in folder.glob("*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and not _lives(int(pid)):
            file.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
