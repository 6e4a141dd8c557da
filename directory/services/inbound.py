"""What comes back by mail: kept as it came, then sorted, and what follows from it.

Nothing here answers anybody (P11). A message can change states, and can send an enquiry to the
deputy or the desk of our own directory; it never causes a mail to its sender or to an address
that stands in it. What belongs where is told by addresses of ours that are signed: the envelope
sender of a delivery, and the address that copies of answers go to. What fits nothing is held for
a person, with its bytes, for ``[privacy] retention_days``.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from directory.adapters.db import deliveries, enquiries, imap_positions, incoming
from directory.adapters.imap import Position
from directory.adapters.inbound import HOPS, Letter, is_program, reply_code
from directory.adapters.links import Signer
from directory.adapters.prepared import Prepared
from directory.adapters.queries import (
    Published,
    decisions_of,
    deliveries_of,
    is_mailbox_of_ours,
)
from directory.domain.delivery import SETTLED, Delivery, DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry
from directory.domain.errors import (
    Conflict,
    InvalidValue,
    LinkRefused,
    NotFound,
    RateLimited,
)
from directory.domain.ids import new_id
from directory.domain.incoming import (
    EVIDENCE_COUNTS_DAYS,
    Action,
    Incoming,
    IncomingKind,
    IncomingState,
    RecipientReport,
    Status,
)
from directory.domain.values import EmailAddress, Reference
from directory.services.deliveries import record_bounce
from directory.services.history import about, record
from directory.services.visitors import add_message
from directory.settings import Settings

log = structlog.get_logger(__name__)

KEPT = 10_000_000
"""Octets of a message that are kept; the rest of a longer one is counted and let go."""

RAW_DAYS = 30
"""How long the bytes of a message are kept once it is sorted: to see whether it was sorted well."""

# Somebody begins to sort it and dies: begun again after this, and after the last try it is held.
_LEASE = timedelta(minutes=2)
_TRIES = 3
# A bounce may be here before the worker has written that the mail was accepted.
_SOON = timedelta(seconds=30)
_PATIENCE = timedelta(days=1)
# Due later than any wait reaches: written before the clock went back.
_FARTHEST = timedelta(hours=1)
_OUR_ID = re.compile(r"<([0-9A-HJKMNP-TV-Z]{8})\.\d{1,6}@([^>]{1,250})>\Z")
_TAG = re.compile(r"\[[A-Z]{0,8}-?([0-9A-Z]{4}-[0-9A-Z]{4})\b")
# Lines in an enquiry's history that mail of programs may add in a day.
_NOTED_A_DAY = 20
_LONGEST_ADDITION = 5_000  # characters, as on the visitor's page
_NO_ADDRESS = re.compile(r"[\x00-\x20\x7f]")
_TEXT_OF_A_BOUNCE = 6_000
# Mail with the address that copies of answers go to.
_TO_STAFF = frozenset(
    {DeliveryKind.ROUTED, DeliveryKind.COPY, DeliveryKind.ADDITION, DeliveryKind.NOTICE}
)

_ADD = {
    "sqlite": Prepared(sqlite.insert(incoming).on_conflict_do_nothing()),
    "postgresql": Prepared(postgresql.insert(incoming).on_conflict_do_nothing()),
}
_UNSORTED = incoming.c.state == IncomingState.NEW
_DUE = (
    sa.select(Incoming)
    .where(
        _UNSORTED,
        sa.or_(incoming.c.due_at <= sa.bindparam("now"), incoming.c.due_at > sa.bindparam("far")),
    )
    .order_by(incoming.c.due_at)
    .limit(1)
)
_ANY_DUE = Prepared(
    sa.select(sa.literal_column("1"))
    .where(
        _UNSORTED,
        sa.or_(incoming.c.due_at <= sa.bindparam("now"), incoming.c.due_at > sa.bindparam("far")),
    )
    .limit(1)
)


# Taking in


def take_in(
    session: Session,
    content: bytes,
    *,
    source: str,
    envelope_from: str | None,
    envelope_to: str,
    now: datetime,
    size: int | None = None,
) -> bool:
    """Keep one message for one recipient as it came; False where the very same came before.

    *source* is "pipe", "lmtp" or "imap". *size* is how many octets came where *content* is only
    their beginning. Whoever repeats a message, since they did not hear that it was kept, repeats
    every octet of it.
    """
    kept = content[:KEPT]
    envelope_to = _one_word(envelope_to)
    digest = hashlib.sha256(envelope_to.lower().encode() + b"\0" + content).hexdigest()
    row: dict[str, Any] = {
        "id": new_id(now),
        "received_at": now,
        "source": source,
        "envelope_from": None if envelope_from is None else _one_word(envelope_from),
        "envelope_to": envelope_to,
        "digest": digest,
        "size": len(content) if size is None else size,
        "content": kept,
        "state": IncomingState.NEW,
        "due_at": now,
        "tries": 0,
        "kind": "",
        "reason": "",
        "enquiry_id": None,
        "delivery_id": None,
        "sorted_at": None,
    }
    return bool(_ADD[session.get_bind().dialect.name].write(session, row))


def _one_word(address: str) -> str:
    """An envelope address without its brackets, and without what no address has."""
    visible = _NO_ADDRESS.sub("", address).strip("<>")
    return visible.encode("utf-8", "replace").decode()[:320]


def position(session: Session, mailbox: str) -> Position | None:
    """How far the polled *mailbox* was read; None when it never was."""
    row = session.execute(
        sa.select(imap_positions.c.validity, imap_positions.c.last_uid).where(
            imap_positions.c.mailbox == mailbox
        )
    ).one_or_none()
    return Position(*row) if row else None


def keep_position(session: Session, mailbox: str, at: Position) -> None:
    """Write down how far *mailbox* was read, in the transaction that keeps what was read."""
    of_dialect: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
    new = {"validity": at.validity, "last_uid": at.last_uid}
    session.execute(
        of_dialect[session.get_bind().dialect.name](imap_positions)
        .values(mailbox=mailbox, **new)
        .on_conflict_do_update(index_elements=["mailbox"], set_=new)
    )


# Whose turn it is


def any_due(session: Session, now: datetime) -> bool:
    """Whether something waits to be sorted; one look at an index."""
    return _ANY_DUE.first(session, {"now": now, "far": now + _FARTHEST}) is not None


def begin(session: Session, now: datetime) -> Incoming | None:
    """Reserve the next message to sort, and count that it was begun; None where none waits.

    One that was begun several times and never finished is what kills those who try: it is held.
    """
    due = _DUE.with_for_update(skip_locked=True)
    found = session.scalar(due, {"now": now, "far": now + _FARTHEST})
    if found is None:
        return None
    found.tries += 1
    found.due_at = now + _LEASE
    if found.tries > _TRIES:
        found.held("not to be sorted", now)
    return found


def hold(session: Session, incoming_id: int, reason: str, *, now: datetime) -> None:
    """Put one that could not be sorted before a person."""
    found = session.get(Incoming, incoming_id, with_for_update=True)
    if found is not None and found.state is IncomingState.NEW:
        found.held(reason[:200], now)
        log.warning("inbound.held", incoming=found.id, reason=reason)


# Sorting


@dataclass(frozen=True, slots=True)
class Desk:
    """What sorting goes by besides the message."""

    published: Published
    settings: Settings
    signer: Signer
    now: datetime


def sort(session: Session, incoming_id: int, letter: Letter, desk: Desk) -> None:
    """Do all that follows from one message, of which *letter* is what it says."""
    found = session.get(Incoming, incoming_id, with_for_update=True)
    if found is None or found.state is not IncomingState.NEW:
        return
    _sort(session, found, letter, desk)
    if found.sorted_at is not None:
        log.info(
            "inbound.sorted",
            incoming=found.id,
            source=found.source,
            kind=found.kind,
            state=found.state.value,
            reason=found.reason,
        )


def _sort(session: Session, found: Incoming, letter: Letter, desk: Desk) -> None:
    if reason := _goes_round(letter, desk.settings):
        # A mail of ours that was sent on to us, or one on its way in a circle.
        found.done(IncomingKind.OURS, desk.now, reason)
        return
    forged = False
    for address in _recipients(found, letter):
        try:
            bounce = desk.signer.read_envelope_sender(address, domain=desk.settings.bounce_domain)
        except LinkRefused:
            pass
        else:
            _returned(session, found, letter, desk, address, bounce.delivery_id)
            return
        try:
            symbols = desk.signer.read_log_address(address, mailbox=desk.settings.log_mailbox)
        except LinkRefused:
            forged = forged or _looks_signed(address, desk.settings)
        else:
            _replied(session, found, letter, desk, symbols)
            return
    _unaddressed(session, found, letter, desk, forged=forged)


def _recipients(found: Incoming, letter: Letter) -> list[str]:
    """Whom it may be for: the envelope tells, else the header does.

    Whichever is signed by us is believed: nobody can have it but from a mail of ours.
    """
    named = letter.recipients()
    return [found.envelope_to, *named] if found.envelope_to else named


def _looks_signed(address: str, settings: Settings) -> bool:
    local, _, domain = address.lower().rpartition("@")
    log_local, _, log_domain = settings.log_mailbox.lower().rpartition("@")
    return (domain == settings.bounce_domain.lower() and local.startswith("bounce+")) or (
        domain == log_domain and local.startswith(f"{log_local}+")
    )


def _goes_round(letter: Letter, settings: Settings) -> str:
    """Why it is one that comes round again, and not news; "" where it is not."""
    if letter.hops > HOPS:
        return "too many hops"
    delivered = [address.lower() for address in letter.headers.get("delivered-to", ())]
    if len(delivered) != len(set(delivered)):
        return "delivered before"
    ours = letter.first("message-id").endswith(f"@{settings.site.host}>")
    if ours and letter.first("x-enquiry-kind"):
        return "a mail of ours"
    return ""


# Bounces and reports


def _returned(
    session: Session,
    found: Incoming,
    letter: Letter,
    desk: Desk,
    address: str,
    delivery_id: int,
) -> None:
    """It came to the envelope sender of one delivery."""
    now = desk.now
    delivery = session.scalar(
        sa.select(Delivery)
        .where(deliveries.c.id == delivery_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if delivery is None or delivery.envelope_sender.lower() != address.lower():
        # Genuine, and of no delivery there is: of another installation with this key, or erased.
        found.held("unknown delivery", now, IncomingKind.BOUNCE)
        return
    found.delivery_id, found.enquiry_id = delivery.id, delivery.enquiry_id
    report, certain = _what_it_says(found, letter, delivery)
    if report is None:
        if reason := letter.automatic(found.envelope_from):
            _note(session, found, "automatic_reply", desk)
            found.done(IncomingKind.AUTOMATIC, now, reason)
        else:
            found.held("no report", now)
        return
    if report.action is not Action.FAILED:
        _note(session, found, f"mail_{report.action.value}", desk)
        found.done(IncomingKind.REPORT, now, report.action.value)
    elif now - delivery.created_at > timedelta(days=EVIDENCE_COUNTS_DAYS):
        found.done(IncomingKind.BOUNCE, now, "late")
    elif delivery.state in {DeliveryState.FAILED, DeliveryState.CANCELLED}:
        found.done(IncomingKind.BOUNCE, now, "repeat")
    elif delivery.state not in SETTLED:
        _wait(found, now)
    else:
        record_bounce(
            session,
            delivery,
            report,
            code=reply_code(report.text),
            certain=certain,
            named=_named_in(found, letter),
            published=desk.published,
            settings=desk.settings,
            signer=desk.signer,
            now=now,
        )
        found.done(IncomingKind.BOUNCE, now, str(report.status or "failed"))


def _named_in(found: Incoming, letter: Letter) -> set[str]:
    """Who sent a report, and whom it tells of: nothing that follows goes there."""
    named = {found.envelope_from or "", *letter.addresses("from", "sender", "reply-to")}
    named.update(*(report.recipients for report in letter.reports))
    return {address for address in named if _key(address)}


def _wait(found: Incoming, now: datetime) -> None:
    """Look again soon: whoever sent the mail has not written yet how that went."""
    if now - found.received_at > _PATIENCE:
        found.held("not sent yet", now, IncomingKind.BOUNCE)
        return
    found.due_at = now + _SOON
    found.tries = 0


def _what_it_says(
    found: Incoming, letter: Letter, delivery: Delivery
) -> tuple[RecipientReport | None, bool]:
    """What it reports of *delivery*, and whether it names that delivery's own recipient.

    A report may name another: the mailbox passes its mail on. Then the mail counts as failed
    only where it failed for all it was passed on to.
    """
    if letter.reports:
        key = delivery.recipient.casefold()
        own = [r for r in letter.reports if key in {name.casefold() for name in r.recipients}]
        told: Sequence[RecipientReport] = own or letter.reports
        failed = [report for report in told if report.action is Action.FAILED]
        if failed and (own or len(failed) == len(told)):
            return failed[0], bool(own)
        others = [report for report in told if report.action is not Action.FAILED]
        return others[0], bool(own)
    if letter.report_type == "disposition-notification":
        return None, False
    if not letter.is_bounce_by_sender(found.envelope_from):
        return None, False
    if letter.first("auto-submitted").strip().lower().startswith("auto-replied"):
        # A holiday notice has the empty sender too (RFC 3834 section 3.3).
        return None, False
    text = letter.text[:_TEXT_OF_A_BOUNCE]
    status = Status.find(text)
    if status is None or status.klass != 5:
        return None, False
    named = delivery.recipient.casefold() in text.casefold()
    said = next((line.strip() for line in text.splitlines() if str(status) in line), "")
    return RecipientReport(Action.FAILED, status, text=said[:500]), named


def _note(session: Session, found: Incoming, type: str, desk: Desk) -> None:
    """One line in the history of the enquiry it belongs to; nothing else follows.

    Not for each of a flood, which two programs that answer one another could make.
    """
    enquiry = _locked(session, enquiries.c.id == found.enquiry_id)
    if enquiry is None or _came_today(session, enquiry, desk.now) > _NOTED_A_DAY:
        return
    after = {"incoming": str(found.id)}
    if found.delivery_id is not None:
        after["delivery"] = str(found.delivery_id)
    record(session, about(enquiry), type, now=desk.now, by="system", after=after)


def _locked(session: Session, which: sa.ColumnElement[bool]) -> Enquiry | None:
    """The enquiry that *which* names, nobody else's until this transaction ends."""
    return session.scalar(
        sa.select(Enquiry).where(which).with_for_update().execution_options(populate_existing=True)
    )


def _came_today(session: Session, enquiry: Enquiry, now: datetime) -> int:
    """How many messages about *enquiry* came within a day."""
    return (
        session.scalar(
            sa.select(sa.func.count())
            .select_from(incoming)
            .where(
                incoming.c.enquiry_id == enquiry.id,
                incoming.c.received_at > now - timedelta(days=1),
            )
        )
        or 0
    )


# Answers


def _replied(session: Session, found: Incoming, letter: Letter, desk: Desk, symbols: str) -> None:
    """It came to the address that copies of the answers to one enquiry go to."""
    now = desk.now
    enquiry = _locked(session, enquiries.c.ref == symbols)
    if enquiry is None:
        found.held("unknown enquiry", now)
        return
    found.enquiry_id = enquiry.id
    if reason := letter.automatic(found.envelope_from):
        _note(session, found, "automatic_reply", desk)
        found.done(IncomingKind.AUTOMATIC, now, reason)
        return
    author = _key(letter.author)
    visitor = _key(enquiry.email)
    if not author:
        found.held("no one author", now)
    elif author == visitor:
        _visitor_wrote(session, found, letter, enquiry, desk)
    elif not _is_of_staff(session, enquiry, letter, author):
        found.held("unknown author", now)
    elif visitor not in map(_key, letter.addresses("to", "cc")):
        # Passed on to a colleague, or sent to us alone: no answer that the visitor has.
        _note(session, found, "mail_about", desk)
        found.done(IncomingKind.REPORT, now, "not to the visitor")
    else:
        _answered(session, found, enquiry, desk)


def _answered(session: Session, found: Incoming, enquiry: Enquiry, desk: Desk) -> None:
    before = enquiry.status
    news = enquiry.answered(desk.now)
    record(
        session,
        about(enquiry),
        "answered" if news else "answer_seen",
        now=desk.now,
        by="mail",
        before={"status": before.value} if news else None,
        after={"status": enquiry.status.value, "how": "reply seen", "incoming": str(found.id)},
    )
    found.done(IncomingKind.ANSWER, desk.now)


def _visitor_wrote(
    session: Session, found: Incoming, letter: Letter, enquiry: Enquiry, desk: Desk
) -> None:
    """The visitor wrote to the address that stood in the answer.

    Mostly to whoever answered as well. Where not, it is added to the enquiry as from the visitor's
    page, and so reaches the mailbox that has it; but not where that stands in the mail itself
    (P11), the enquiry is over, or this was too often today. Then it is held, and the enquiry needs
    attention.
    """
    hosts = _hosts(deliveries_of(session, enquiry))
    staff_has_it = any(
        is_mailbox_of_ours(session, address) or address.rpartition("@")[2] in hosts
        for address in map(_key, letter.addresses("to", "cc"))
        if address and not _is_the_services(address, desk.settings)
    )
    record(
        session,
        about(enquiry),
        "visitor_wrote",
        now=desk.now,
        by="visitor",
        after={"incoming": str(found.id), "to_staff": staff_has_it},
    )
    if staff_has_it:
        found.done(IncomingKind.ADDITION, desk.now, "staff has it")
        return
    if _added(session, found, letter, enquiry, desk):
        found.done(IncomingKind.ADDITION, desk.now, "added")
        return
    enquiry.needs_attention("visitor_wrote")
    found.held("from the visitor", desk.now, IncomingKind.ADDITION)


def _added(session: Session, found: Incoming, letter: Letter, enquiry: Enquiry, desk: Desk) -> bool:
    """Whether what the visitor wrote could be added to the enquiry."""
    holder = decisions_of(session, enquiry)[-1].recipient.lower()
    words = letter.own_words[:_LONGEST_ADDITION]
    said = (found.content or b"").lower()
    if not words or not holder or holder.encode() in said or holder in letter.text.lower():
        return False
    try:
        add_message(
            session,
            enquiry,
            words,
            published=desk.published,
            settings=desk.settings,
            signer=desk.signer,
            now=desk.now,
        )
    except (Conflict, RateLimited) as reason:
        log.info("inbound.not_added", incoming=found.id, reason=type(reason).__name__)
        return False
    return True


def _is_the_services(address: str, settings: Settings) -> bool:
    """Whether *address* is one that no person reads: From, or one that comes back to us."""
    return address == settings.mail.from_.casefold() or _looks_signed(address, settings)


def _hosts(sent: Iterable[Delivery]) -> set[str]:
    """The hosts of the mailboxes an enquiry went to."""
    return {d.recipient.rpartition("@")[2].lower() for d in sent if d.kind in _TO_STAFF}


def _is_of_staff(session: Session, enquiry: Enquiry, letter: Letter, author: str) -> bool:
    """Whether *author* answers for us, as far as a header can tell.

    A mailbox of the directory, somebody at the host of one that the enquiry went to, or whoever
    replies to the very mail that went there.
    """
    sent = [d for d in deliveries_of(session, enquiry) if d.kind in _TO_STAFF]
    if is_mailbox_of_ours(session, author) or author.rpartition("@")[2] in _hosts(sent):
        return True
    return bool({d.message_id for d in sent}.intersection(letter.ids("in-reply-to")))


def _key(address: str) -> str:
    """*address* as two spellings of one mailbox are compared; "" where it is none."""
    if not address:
        return ""
    try:
        return EmailAddress.parse(address, smtputf8=True).key
    except InvalidValue:
        return ""


# Without a signed address


def _unaddressed(
    session: Session, found: Incoming, letter: Letter, desk: Desk, *, forged: bool
) -> None:
    """It came to no address that tells what it is about."""
    for address in letter.returned_sender() if letter.reports else ():
        # A mail system that reports to the author; the mail it returns has our envelope sender.
        try:
            bounce = desk.signer.read_envelope_sender(address, domain=desk.settings.bounce_domain)
        except LinkRefused:
            continue
        _returned(session, found, letter, desk, address, bounce.delivery_id)
        return
    found.enquiry_id = _seems_about(session, letter, desk.settings)
    reason = letter.automatic(found.envelope_from)
    if reason and not letter.reports and not _is_from_a_mail_system(found, letter):
        found.done(IncomingKind.AUTOMATIC, desk.now, reason)
    elif forged:
        found.held("forged", desk.now)
    else:
        found.held("a report without our address" if reason else "no address of ours", desk.now)


def _is_from_a_mail_system(found: Incoming, letter: Letter) -> bool:
    senders = [found.envelope_from or "", *letter.addresses("from")]
    daemon = any(is_program(s) and "daemon" in s.lower() for s in senders)
    return daemon or letter.report_type == "delivery-status"


def _seems_about(session: Session, letter: Letter, settings: Settings) -> int | None:
    """The enquiry its header names, unproven: a hint for whoever looks at it."""
    symbols = [
        found[1]
        for message_id in letter.ids("in-reply-to", "references", "message-id")
        if (found := _OUR_ID.match(message_id)) and found[2] == settings.site.host
    ]
    if tagged := _TAG.search(letter.subject):
        with contextlib.suppress(InvalidValue):  # four and four letters, but no reference
            symbols.append(Reference.parse(tagged[1]).symbols)
    if not symbols:
        return None
    known = sa.select(enquiries.c.id).where(enquiries.c.ref.in_(symbols[:20])).limit(1)
    return session.scalar(known)


# The holding list, and forgetting


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A message that waits for a person, without what it says or who wrote it."""

    id: int
    received_at: datetime
    source: str
    kind: str
    reason: str
    size: int
    ref: str


def holding(session: Session, *, limit: int = 200) -> list[HeldRow]:
    """What fits nothing, the oldest first."""
    rows = session.execute(
        sa.select(
            incoming.c.id,
            incoming.c.received_at,
            incoming.c.source,
            incoming.c.kind,
            incoming.c.reason,
            incoming.c.size,
            sa.func.coalesce(enquiries.c.ref, ""),
        )
        .outerjoin(enquiries, enquiries.c.id == incoming.c.enquiry_id)
        .where(incoming.c.state == IncomingState.HELD)
        .order_by(incoming.c.received_at, incoming.c.id)
        .limit(limit)
    )
    return [HeldRow(*row) for row in rows]


def held_message(session: Session, incoming_id: int, *, lock: bool = False) -> Incoming:
    """One that is held, bytes and all; with *lock*, to be changed. Raises NotFound."""
    found = session.get(Incoming, incoming_id, with_for_update=lock)
    if found is None or found.state is not IncomingState.HELD:
        raise NotFound(f"No message {incoming_id} is held")
    return found


def discard(session: Session, incoming_id: int, *, now: datetime, by: str) -> None:
    """Somebody looked at one that is held, and nothing follows from it. Raises NotFound."""
    found = held_message(session, incoming_id, lock=True)
    found.done(IncomingKind(found.kind), now, f"discarded by {by}"[:200])
    found.content = None


def forget(session: Session, *, settings: Settings, now: datetime) -> int:
    """Let go of what was kept long enough: bytes of what is sorted, all of what is old.

    How many rows that touched.
    """
    sorted_before = now - timedelta(days=min(RAW_DAYS, settings.privacy.retention_days))
    emptied = session.execute(
        sa.update(incoming)
        .where(
            incoming.c.state == IncomingState.DONE,
            incoming.c.received_at < sorted_before,
            incoming.c.content.is_not(None),
        )
        .values(content=None)
    )
    gone = session.execute(
        sa.delete(incoming).where(
            incoming.c.state.in_((IncomingState.DONE, IncomingState.HELD)),
            incoming.c.received_at < now - timedelta(days=settings.privacy.retention_days),
        )
    )
    return (emptied.rowcount or 0) + (gone.rowcount or 0)  # type: ignore[attr-defined]


def forget_enquiry(session: Session, enquiry_id: int) -> int:
    """Let go of every byte that came in about one enquiry; how many messages that were."""
    gone = session.execute(sa.delete(incoming).where(incoming.c.enquiry_id == enquiry_id))
    return gone.rowcount or 0  # type: ignore[attr-defined]
