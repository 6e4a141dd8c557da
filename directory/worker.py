"""Claims, sends, records; as many of them as you like.

One round: reserve a few deliveries, their bytes composed and kept (one commit), then send each and
commit its result before the next DATA. No transaction is open while the mail server is waited for.
Killed at any instant, a worker leaves claims that lapse by themselves.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from directory.adapters import duties, limits, outbox
from directory.adapters.compose import compose
from directory.adapters.mail import Accepted, LeaseLost, Transport
from directory.adapters.queries import Unreachable, unreachable
from directory.domain.delivery import Attempt, Delivery, DeliveryState, Outcome
from directory.domain.errors import DeliveryFailure, DirectoryError, Unavailable
from directory.parts import Parts
from directory.services import inbox, trust
from directory.services.deliveries import park, record_accepted, record_failure
from directory.services.minute import go_round
from directory.services.redirects import redirect_claimed

log = structlog.get_logger(__name__)

# Reserved at once by one worker. More spare commits; fewer leave more for the other workers and
# less to wait for when one is killed.
BATCH = 10
# After the database could not be reached.
_BREATHER_S = 1.0
# A result is written that long after SIGTERM at most; the supervisor kills after ten seconds.
_LAST_TRIES_S = 7.0
# While there is something to send, the database's log is brought in this often.
_CHECKPOINT_S = 2.0
# Messages that came back, sorted between two rounds of sending.
_SORTED_A_ROUND = 5
# How long a connection to the mail server is kept for the next message.
_KEPT_OPEN_S = 10.0


@dataclass(slots=True)
class Tally:
    """What a round, or a run, came to."""

    processed: int = 0
    deferred: int = 0
    failed: int = 0

    def add(self, state: DeliveryState) -> None:
        """Count one try that ended in *state*."""
        self.processed += 1
        self.deferred += state is DeliveryState.DEFERRED
        self.failed += state is DeliveryState.FAILED

    def __str__(self) -> str:
        return f"processed {self.processed}, deferred {self.deferred}, failed {self.failed}"


class Worker:
    """One sender of mail. ``stop`` lets it finish the message it is at and puts back the rest."""

    def __init__(self, parts: Parts, transport: Transport) -> None:
        self._parts = parts
        self._transport = transport
        self._times = parts.settings.delivery
        self._owner = secrets.token_hex(12)
        self._stopping = threading.Event()
        self._held: set[int] = set()
        self._holding = threading.Lock()
        self._unreachable: Unreachable | None = None

    def stop(self) -> None:
        """No new work; safe to call from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Send what is due, wait for the doorbell or the next sweep, until stopped."""
        renewing = threading.Thread(target=self._renew, name="renew", daemon=True)
        renewing.start()
        swept = sent = cleared = time.monotonic()
        while not self._stopping.is_set():
            try:
                processed = self.send_due(self._parts.now()).processed
                if processed:
                    sent = time.monotonic()
                if processed and sent - cleared >= _CHECKPOINT_S:
                    self._parts.db.checkpoint()
                    cleared = time.monotonic()
                # Also while a backlog is worked off: that is when there is something to tell.
                if time.monotonic() - swept >= self._times.sweep_s:
                    self._sweep()
                    swept = time.monotonic()
                # A few at a time: a flood of what comes back must not keep new enquiries waiting.
                if inbox.work_off(self._parts, limit=_SORTED_A_ROUND):
                    continue
                if processed >= BATCH:
                    continue  # else nothing more was due, and whatever came since has rung
                if time.monotonic() - sent >= _KEPT_OPEN_S:
                    self._transport.close()
                self._parts.doorbell.wait(self._patience(), unless=self._stopping.is_set)
            except Unavailable as error:
                log.error("worker.no_database", error=str(error))
                self._stopping.wait(_BREATHER_S)
        self._transport.close()

    def run_once(self, only: Iterable[int] | None = None) -> Tally:
        """Everything due now, one try each."""
        started = self._parts.now()
        wanted = None if only is None else list(only)
        total = Tally()
        if wanted is None:
            self._ask()
            while inbox.work_off(self._parts) and not self._stopping.is_set():
                pass  # what comes back may send an enquiry on, which is then due too
        try:
            while not self._stopping.is_set():
                round_ = self.send_due(started, only=wanted)
                if not round_.processed:
                    return total
                total.processed += round_.processed
                total.deferred += round_.deferred
                total.failed += round_.failed
        finally:
            self._transport.close()
        return total

    def send_due(self, due_by: datetime, *, only: list[int] | None = None) -> Tally:
        """One round: at most ``BATCH`` of what was due at *due_by*."""
        tally = Tally()
        batch, broken = self._claim(due_by, only)
        self._park(broken, tally)
        ready = [delivery for delivery in batch if delivery.id not in broken]
        for index, delivery in enumerate(ready):
            if self._stopping.is_set():
                self._put_back(ready[index:])
                break
            state = self._send(delivery)
            if state is not None:
                tally.add(state)
        return tally

    # The steps

    def _claim(
        self, due_by: datetime, only: list[int] | None
    ) -> tuple[list[Delivery], dict[int, Exception]]:
        """What is now ours to send, its bytes kept; and why some of it has none."""
        now = self._parts.now()
        with self._parts.db.writing() as session:
            paused, directory = duties.before_a_claim(session)
            if paused:
                return [], {}
            batch: list[Delivery] = []
            while not batch:
                claimed = outbox.claim_due(
                    session,
                    owner=self._owner,
                    now=now,
                    tried_before=due_by,
                    lease=timedelta(seconds=self._times.lease_s),
                    backoff_s=self._times.backoff_s,
                    jitter=self._times.jitter,
                    limit=BATCH,
                    only=only,
                )
                if not claimed:
                    break
                batch = self._where_it_goes_now(session, claimed, directory, now)
            # Composed here, the bytes are kept by the claim's own commit. The price is that on
            # SQLite other writers wait for it, some milliseconds for ten mails; that of a commit
            # more was as long a wait.
            broken = _composed(batch)
            outbox.write_claims(session, (it for it in batch if sa.inspect(it).persistent))
        with self._holding:
            self._held = {delivery.id for delivery in batch if delivery.id is not None}
        return batch, broken

    def _where_it_goes_now(
        self, session: Session, claimed: list[Delivery], directory: int, now: datetime
    ) -> list[Delivery]:
        """*claimed*, but for what a mailbox suspended or a department closed since would get.

        *directory* is its version: only where it changed is anything asked.
        """
        parts = self._parts
        self._unreachable = unreachable(session, directory, self._unreachable)
        return redirect_claimed(
            session,
            claimed,
            self._unreachable,
            published=lambda: parts.published(session, now),
            settings=parts.settings,
            signer=parts.signer,
            now=now,
            lease=timedelta(seconds=self._times.lease_s),
        )

    def _park(self, broken: dict[int, Exception], tally: Tally) -> None:
        if broken:
            with self._parts.db.writing() as session:
                for delivery_id, cause in broken.items():
                    if found := outbox.held(session, delivery_id, owner=self._owner):
                        park(
                            session, found, cause, self._parts.now(), settings=self._parts.settings
                        )
                        tally.add(found.state)
        self._let_go(broken)

    def _send(self, delivery: Delivery) -> DeliveryState | None:
        """One try; its state afterwards, or None if the claim was lost meanwhile."""
        assert delivery.id is not None and delivery.content is not None
        started = time.monotonic()
        result: Accepted | DeliveryFailure | Exception
        try:
            result = self._transport.send(
                delivery.envelope_sender,
                delivery.recipient,
                delivery.content,
                before_data=lambda: self._still_held(delivery.id),
            )
        except LeaseLost:
            log.warning("worker.lease_lost", delivery=delivery.id)
            self._let_go([delivery.id])
            return None
        except Unavailable:
            # Nobody could say before DATA whether the claim stands, so nothing was sent.
            self._let_go([delivery.id])
            raise
        except DeliveryFailure as failure:
            result = failure
        except Exception as error:  # nor must one that cannot be sent stop the others (P9)
            log.exception("mail.not_sendable", delivery=delivery.id)
            self._transport.close()
            result = error
        try:
            state = self._record_surely(delivery, result, time.monotonic() - started)
        finally:
            self._let_go([delivery.id])
        self._count(delivery, result)
        return state

    def _count(self, delivery: Delivery, result: Accepted | DeliveryFailure | Exception) -> None:
        if (counted := self._parts.metrics) is None:
            return
        if isinstance(result, Accepted):
            counted.tried(delivery.kind.value, Outcome.ACCEPTED.value)
            waited = self._parts.now() - delivery.created_at
            counted.delivered(delivery.kind.value, waited.total_seconds())
        elif isinstance(result, DeliveryFailure):
            counted.tried(delivery.kind.value, Outcome.of(result).value)
        else:
            counted.tried(delivery.kind.value, "parked")

    def _record_surely(
        self, delivery: Delivery, result: Accepted | DeliveryFailure | Exception, seconds: float
    ) -> DeliveryState | None:
        """Write the result, however long the database is away.

        Forgotten, an accepted message would be sent again. The claim is renewed meanwhile. A
        worker that was told to stop tries for a little while only.
        """
        first = time.monotonic()
        while True:
            try:
                if isinstance(result, Accepted):
                    return self._record_accepted(delivery, result, seconds)
                assert delivery.id is not None
                return self._record(delivery.id, result, seconds)
            except Unavailable as error:
                if self._stopping.is_set() and time.monotonic() - first > _LAST_TRIES_S:
                    raise
                log.error("worker.result_waits", delivery=delivery.id, error=str(error))
                time.sleep(_BREATHER_S)

    def _record_accepted(
        self, claimed: Delivery, result: Accepted, seconds: float
    ) -> DeliveryState | None:
        """As _record(), for what nearly always happens, without reading anything back."""
        assert claimed.id is not None
        now = self._parts.now()
        # A copy: where the commit fails, the result is written again from the start.
        delivery = replace(claimed)
        delivery.succeeded(now, result.reply)
        with self._parts.db.writing() as session:
            if not outbox.settle(session, delivery, owner=self._owner):
                log.warning("worker.late_result", delivery=claimed.id)
                return None
            attempt = Attempt(
                delivery_id=claimed.id,
                at=now,
                seconds=seconds,
                server=result.server,
                stage="dot",
                code=result.code,
                text=result.text,
                outcome=Outcome.ACCEPTED,
            )
            record_accepted(session, delivery, attempt, now)
        return delivery.state

    def _record(
        self, delivery_id: int, result: DeliveryFailure | Exception, seconds: float
    ) -> DeliveryState | None:
        parts, now = self._parts, self._parts.now()
        with parts.db.writing() as session:
            delivery = outbox.held(session, delivery_id, owner=self._owner)
            if delivery is None:
                log.warning("worker.late_result", delivery=delivery_id)
                return None
            if not isinstance(result, DeliveryFailure):
                park(session, delivery, result, now, settings=parts.settings, during="send")
                return delivery.state
            attempt = Attempt.that_failed(
                delivery_id, result, at=now, seconds=seconds, server=self._transport.server
            )
            return record_failure(
                session,
                delivery,
                result,
                attempt,
                published=parts.published(session, now),
                settings=parts.settings,
                signer=parts.signer,
                now=now,
            )

    def _still_held(self, delivery_id: int | None) -> bool:
        assert delivery_id is not None
        with self._parts.db.glancing() as session:
            return outbox.still_held(session, delivery_id, owner=self._owner)

    def _put_back(self, rest: list[Delivery]) -> None:
        ids = [delivery.id for delivery in rest if delivery.id is not None]
        with self._parts.db.writing() as session:
            outbox.put_back(session, ids, owner=self._owner, now=self._parts.now())
        self._let_go(ids)

    # Leases

    def _let_go(self, ids: Iterable[int | None]) -> None:
        with self._holding:
            self._held.difference_update(ids)

    def _renew(self) -> None:
        while not self._stopping.wait(self._times.renew_s):
            self.renew_now()

    def renew_now(self) -> None:
        """Prolong the claims this worker holds."""
        with self._holding:
            ids = list(self._held)
        if not ids:
            return
        until = self._parts.now() + timedelta(seconds=self._times.lease_s)
        try:
            with self._parts.db.writing() as session:
                outbox.renew(session, ids, owner=self._owner, until=until)
        except Unavailable as error:
            log.warning("worker.not_renewed", error=str(error))

    # Between rounds

    def _patience(self) -> float:
        """Seconds until something may be due without anybody ringing."""
        with self._parts.db.glancing() as session:
            due = outbox.next_due(session)
            if due is not None and duties.is_on(session, duties.MAIL_PAUSED):
                due = None
        longest = min(self._times.sweep_s, _KEPT_OPEN_S)
        if due is None:
            return longest
        return min(max((due - self._parts.now()).total_seconds(), 0.05), longest)

    def _sweep(self) -> None:
        with self._parts.db.writing() as session:
            limits.forget(session, now=self._parts.now())
        inbox.forget(self._parts)
        self._ask()
        go_round(self._parts)

    def _ask(self) -> None:
        """Ask the mailboxes whose time has come. No enquiry waits for what goes wrong with it."""
        try:
            with self._parts.db.writing() as session:
                asked = trust.sweep(session, settings=self._parts.settings, now=self._parts.now())
        except DirectoryError:
            raise
        except Exception:
            log.exception("trust.not_swept")
            return
        if asked:
            log.info("trust.asked", count=asked)


def _composed(batch: Iterable[Delivery]) -> dict[int, Exception]:
    """Give each of *batch* its bytes, once; what went wrong with those that get none."""
    broken: dict[int, Exception] = {}
    for delivery in batch:
        assert delivery.id is not None  # a claimed delivery comes from the database
        if delivery.content is None:
            try:
                delivery.content = compose(delivery)
            except Exception as error:  # a poison message must not stop the others (P9)
                log.exception("mail.not_composed", delivery=delivery.id)
                broken[delivery.id] = error
    return broken


def stop_on(worker: Worker, *signals: int, also: Callable[[], None] = lambda: None) -> None:
    """Let *signals* (SIGTERM, SIGINT) stop *worker* in good order."""
    import signal

    def handler(signum: int, frame: object) -> None:
        worker.stop()
        also()

    for number in signals:
        signal.signal(number, handler)
