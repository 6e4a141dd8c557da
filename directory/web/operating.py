"""What those who run the service ask it: does it live, can it take an enquiry, how does it fare.

Answered for any host, since those who ask know processes by their addresses. Nothing here asks
the network.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Blueprint, Flask, Response, abort, g, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from directory.adapters import duties, health, ledger, migrations
from directory.adapters.metrics import CONTENT_TYPE, Figures
from directory.domain.alarms import AlarmKind
from directory.domain.delivery import DeliveryState
from directory.domain.errors import DirectoryError
from directory.domain.ledger import ACCOUNTS, Account
from directory.services import alarms
from directory.services.minute import free_mb
from directory.settings import DeliverySettings
from directory.web.context import db, now, parts, settings

bp = Blueprint("operating", __name__)

ANY_HOST = frozenset({"operating.healthz", "operating.readyz", "operating.metrics"})
"""Endpoints that answer whatever host they are asked as."""

# Everybody may ask whether the service is ready, and the honest answer costs a commit.
_PROBED_FOR_S = 2.0


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Whether this process answers at all. Asks nobody else."""
    return _plain("ok", "text/plain; charset=utf-8")


# Ready


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """503 only when no enquiry could be stored; what else is wrong is a warning."""
    checks: dict[str, str] = {}
    try:
        at, newest = migrations.current(db()), migrations.newest() or ""
        # A database that is ahead suits this release too: that is how one upgrades.
        behind = at is None or at < newest
        checks["migrations"] = "missing" if behind else "ok" if at == newest else "ahead"
        checks["database"] = "ok" if behind or _takes_a_commit() else "unavailable"
        if not behind:
            with db().reading() as session:
                checks |= _warnings(session)
    except DirectoryError:
        checks["database"] = "unavailable"
    unready = checks["database"] != "ok" or checks.get("migrations") == "missing"
    worst = "warning" if any(word not in {"ok", "ahead"} for word in checks.values()) else "ok"
    body: dict[str, Any] = {"status": "unavailable" if unready else worst, "checks": checks}
    response = jsonify(body)
    response.status_code = 503 if unready else 200
    response.headers["Cache-Control"] = "no-store"
    return response


def _takes_a_commit() -> bool:
    """Whether a row was just written and synchronised, as an enquiry's is."""
    kept: dict[Any, Any] = parts().kept
    asked, took = kept.get("readyz", (0.0, False))
    if took and time.monotonic() - asked < _PROBED_FOR_S:
        return True
    try:
        with db().writing() as session:
            duties.hold(session, "readyz")
            duties.done(session, "readyz", now=now(), facts={})
    except DirectoryError:
        took = False
    else:
        took = True
    kept["readyz"] = (time.monotonic(), took)
    return took


def _warnings(session: Session) -> dict[str, str]:
    standing = {kind for kind, _ in alarms.standing(session)}
    age = health.oldest_waiting(session)
    times = settings().delivery
    waited = (now() - age.since).total_seconds() if age.since else 0.0
    free = free_mb(db())
    trouble = health.last_try_never_reached_a_mailbox(session)
    return {
        "mail": "unreachable" if trouble or AlarmKind.REFUSED_US in standing else "ok",
        "delivery": "paused" if duties.is_on(session, duties.MAIL_PAUSED) else "ok",
        "queue": _lateness(waited, times),
        "ledger": "ok" if ledger.read(session).balances else "unbalanced",
        "disk": "low" if free is not None and free < alarms.DISK_LOW_MB else "ok",
        "alarms": ", ".join(sorted(standing)) or "ok",
    }


def _lateness(waited_s: float, times: DeliverySettings) -> str:
    if waited_s > times.alarm_after_s:
        return "alarm"
    return "late" if waited_s > times.show_after_s else "ok"


# Metrics


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """In Prometheus' text format, for who has the token of ``[metrics] token``."""
    token = settings().metrics.token.get_secret_value()
    counted = parts().metrics
    if not token or counted is None:
        abort(404)
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        response = _plain("the token of [metrics] is needed\n", "text/plain; charset=utf-8")
        response.status_code = 401
        response.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return response
    try:
        with db().reading() as session:
            figures = _figures(session)
    except DirectoryError:
        # The counts of processes are still worth having, and this figure most of all.
        figures = Figures((_up(0),))
    return _plain(counted.text(figures).decode(), CONTENT_TYPE)


def _up(value: float) -> Any:
    return ("directory_database_up", "Whether the database answers.", "", {"": value})


def _figures(session: Session) -> Figures:
    queue = health.waiting_by_state(session)
    books = ledger.read(session)
    standing = {kind for kind, _ in alarms.standing(session)}
    at = now()

    def age(since: Any) -> float:
        return max((at - since) / timedelta(seconds=1), 0.0) if since else 0.0

    states = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.DEFERRED)
    waiting = {state.value: queue.get(state, health.Waiting()) for state in states}
    canary = duties.look(session, "canary")
    return Figures(
        (
            _up(1),
            (
                "directory_queue_messages",
                "Messages not accepted yet.",
                "state",
                {state: it.count for state, it in waiting.items()},
            ),
            (
                "directory_queue_oldest_seconds",
                "How long the oldest of them waits.",
                "state",
                {state: age(it.since) for state, it in waiting.items()},
            ),
            (
                "directory_enquiries",
                "Enquiries by where they stand.",
                "account",
                {str(a): books[a] for a in (*ACCOUNTS, Account.NOWHERE)},
            ),
            ("directory_enquiries_received", "All that were received.", "", {"": books.received}),
            (
                "directory_ledger_missing",
                "Enquiries received that stand nowhere; 0 when the ledger balances.",
                "",
                {"": books.missing},
            ),
            (
                "directory_alarm",
                "Whether this is wrong at present.",
                "kind",
                {kind.value: float(kind in standing) for kind in AlarmKind},
            ),
            (
                "directory_mail_paused",
                "Whether somebody paused the sending of mail.",
                "",
                {"": float(duties.is_on(session, duties.MAIL_PAUSED))},
            ),
            (
                "directory_canary_sent_seconds",
                "How long ago the last test enquiry was sent; -1 when there was none.",
                "",
                {"": age(canary.at) if canary.at else -1.0},
            ),
        )
    )


def install(app: Flask, clock: Callable[[], float] = time.perf_counter) -> None:
    """Count what *app* answers, where anybody wants to know."""
    counted = app.extensions["directory"].metrics
    if counted is None:
        return

    def begin() -> None:
        g.begun = clock()

    def end(response: Response) -> Response:
        begun = g.get("begun")
        if begun is not None:
            counted.answered(
                request.method, request.endpoint, response.status_code, clock() - begun
            )
        return response

    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(end)


def _plain(text: str, content_type: str) -> Response:
    response = Response(text, content_type=content_type)
    response.headers["Cache-Control"] = "no-store"
    return response
