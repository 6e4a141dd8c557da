"""Looks at an installation from all sides, and says what is wrong and what to do about it.

Only ever asked for: some of it asks the network, and some reads every row there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import structlog

from directory.adapters import ledger, migrations
from directory.domain.errors import DirectoryError, NotFound, Unavailable
from directory.services.doctor import database, mail, site
from directory.services.doctor.words import Checks, Level, Patient, Verdict, both, fail

__all__ = ["CHECKS", "FIXES", "Level", "Patient", "Verdict", "chosen", "examine"]

log = structlog.get_logger(__name__)

CHECKS: Checks = {**database.CHECKS, **mail.CHECKS, **site.CHECKS}


def _fix_ledger(patient: Patient) -> None:
    with patient.parts.db.writing() as session:
        ledger.set_right(session)


def _fix_migrations(patient: Patient) -> None:
    migrations.upgrade(patient.parts.db)


FIXES: dict[str, Callable[[Patient], None]] = {
    "database.migrations": _fix_migrations,
    "ledger.balance": _fix_ledger,
    "secrets.private": site.close_to_others,
}
"""What can be repaired without asking anybody, and loses nothing."""


def chosen(only: Iterable[str]) -> list[str]:
    """The checks *only* names: whole ids, or what stands before the dot. Raises NotFound."""
    wanted: list[str] = []
    for name in only:
        found = [id for id in CHECKS if id == name or id.startswith(f"{name}.")]
        if not found:
            raise NotFound(f"There is no check “{name}”; known are {', '.join(CHECKS)}")
        wanted += found
    return wanted or list(CHECKS)


def examine(
    patient: Patient, ids: Iterable[str], *, repair: bool = False
) -> Iterator[tuple[str, Verdict]]:
    """Each check's verdict in turn; with *repair* what can be is repaired and looked at again.

    A check that cannot be carried out is a verdict too, and stops none of the others.
    """
    for id in ids:
        verdict = _look(patient, id)
        if repair and verdict.level is not Level.OK and id in FIXES:
            FIXES[id](patient)
            verdict = _look(patient, id)
        yield id, verdict


def _look(patient: Patient, id: str) -> Verdict:
    try:
        return CHECKS[id](patient)
    except Unavailable as error:
        return fail(
            both("no answer: {it}", "没有应答：{it}", it=error),
            both("is it running, and can it be reached?", "请确认其在运行且可以连接"),
            unreachable=True,
        )
    except DirectoryError as error:
        return fail(both("{it}", "{it}", it=error), {})
    except Exception as error:
        log.exception("doctor.check_failed", check=id)
        return fail(
            both("the check itself failed: {it}", "检查未能完成：{it}", it=type(error).__name__),
            both("see doctor.check_failed in the log", "请在日志中查看 doctor.check_failed"),
        )
