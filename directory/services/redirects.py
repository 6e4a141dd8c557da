"""Mail that is about to be sent to a mailbox that takes none any more, sent where it should go now.

A mailbox may be suspended and a department closed while an enquiry waits to be sent. It is looked
at again when a worker claims the mail: what was fixed before is sent as it is where it still
arrives, and decided again where it would not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from directory.adapters.db import contact_points, deliveries, departments
from directory.adapters.links import Signer
from directory.adapters.queries import (
    Published,
    Unreachable,
    additions_of,
    decisions_of,
    deliveries_of,
)
from directory.domain.contacts import (
    LIVE_STATES,
    Department,
    DepartmentStatus,
    PointKind,
    localised,
)
from directory.domain.delivery import Delivery, DeliveryKind, DeliveryState
from directory.domain.enquiry import Decision, Enquiry, action_version
from directory.domain.values import EmailAddress
from directory.services.enquiries import decide_again, next_position, redeliver_to
from directory.services.history import about, record
from directory.services.post import Post
from directory.settings import Settings

log = structlog.get_logger(__name__)

_KINDS = frozenset({DeliveryKind.ROUTED, DeliveryKind.COPY})


def redirect_claimed(
    session: Session,
    claimed: Sequence[Delivery],
    unreachable: Unreachable,
    *,
    published: Callable[[], Published],
    settings: Settings,
    signer: Signer,
    now: datetime,
    lease: timedelta,
) -> list[Delivery]:
    """Those of *claimed* that are to be sent, others in place of those that would not arrive.

    What replaces one is claimed by the same owner for as long as *lease*. *published* is asked
    only where something is to be decided.
    """
    ready: list[Delivery] = []
    for delivery in claimed:
        if delivery.kind not in _KINDS or not unreachable.is_for(delivery):
            ready.append(delivery)
            continue
        owner = delivery.lease_owner
        try:
            with session.begin_nested():
                instead = _redirect(
                    session,
                    delivery,
                    published=published(),
                    settings=settings,
                    signer=signer,
                    now=now,
                )
        except sa.exc.SQLAlchemyError:
            raise
        except Exception:  # one that cannot be decided must not stop the others (P9)
            log.exception("mail.not_redirected", delivery=delivery.id)
            session.refresh(delivery, deliveries.c.keys())
            instead = delivery
        if instead is not None and instead is not delivery:
            assert owner is not None  # it was claimed
            instead.claimed(owner, now + lease)
        if instead is not None:
            ready.append(instead)
    return ready


def _redirect(
    session: Session,
    delivery: Delivery,
    *,
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> Delivery | None:
    """What is to be sent in place of *delivery*, or itself, or nothing at all."""
    enquiry = session.get_one(
        Enquiry, delivery.enquiry_id, with_for_update=True, populate_existing=True
    )
    department = session.get_one(Department, delivery.department_id)
    why = _why(department)
    if delivery.kind is DeliveryKind.COPY or enquiry.department_id != department.id:
        # Nobody stands in for who was only to know; and what was passed on is somebody else's.
        delivery.cancelled(now, why["en"])
        told = {"delivery": str(delivery.id)}
        record(
            session,
            about(enquiry),
            f"{delivery.kind.value}_cancelled",
            now=now,
            by="system",
            note=why["en"],
            after=told,
        )
        return None
    instead = _instead(
        session,
        delivery,
        enquiry,
        why=why,
        published=published,
        settings=settings,
        signer=signer,
        now=now,
    )
    if instead is None:
        # Nobody else takes it: a mailbox that was suspended may still be read.
        return delivery
    delivery.cancelled(now, why["en"])
    enquiry.version += 1
    record(
        session,
        about(enquiry),
        "redirected",
        now=now,
        by="system",
        note=why["en"],
        before={"department": department.slug, "delivery": str(delivery.id)},
        after={
            "department": session.get_one(Department, enquiry.department_id).slug,
            "delivery": str(instead.id),
        },
    )
    log.warning("mail.redirected", ref=enquiry.ref, department=department.slug)
    return instead


def _why(department: Department) -> dict[str, str]:
    en, zh = (localised(department.name, language)[0] for language in ("en", "zh-Hans"))
    if department.status is DepartmentStatus.CLOSED:
        return {"en": f"{en} was closed meanwhile", "zh-Hans": f"{zh}已于此期间撤销"}
    return {"en": f"{en} takes no mail now", "zh-Hans": f"{zh}目前无法接收邮件"}


def _instead(
    session: Session,
    delivery: Delivery,
    enquiry: Enquiry,
    *,
    why: dict[str, str],
    published: Published,
    settings: Settings,
    signer: Signer,
    now: datetime,
) -> Delivery | None:
    """The mail to who answers now, with its decision; None where that changes nothing."""
    if delivery.attempts and _is_read(session, delivery.recipient):
        return None  # a mailbox that may have it already is sent the same bytes again, or none
    refused = [
        other.recipient
        for other in deliveries_of(session, enquiry)
        if other.kind is DeliveryKind.ROUTED and other.state is DeliveryState.FAILED
    ]
    decided = decisions_of(session, enquiry)
    decision = None
    if _by_the_rules(decided):
        decision = decide_again(session, enquiry, published=published, by="system", now=now)
        # Only where it goes: copies were sent, and the visitor knows when to expect an answer.
        decision.outcome = {}
    if decision is None or any(_same(decision.recipient, address) for address in refused):
        # A person sent it here, or a refusal did: the rules would send it back.
        closed = session.get_one(Department, delivery.department_id).status
        tried = refused if closed is DepartmentStatus.CLOSED else [*refused, delivery.recipient]
        return redeliver_to(
            session,
            delivery,
            enquiry,
            published=published,
            settings=settings,
            signer=signer,
            now=now,
            tried=tried,
            why=why,
        )
    stays = decision.department_id == delivery.department_id
    if not decision.recipient or (stays and _same(decision.recipient, delivery.recipient)):
        return None
    department = published.department_of(session, decision)
    topic, added = published.topic(enquiry.topic), additions_of(session, enquiry)
    post = Post(settings, signer, published, enquiry, topic, added=added)
    position = next_position(session, enquiry)
    instead = post.to_department(
        department, decision, position=position, now=now, link_version=action_version(decided)
    )
    enquiry.department_id = department.id
    session.add_all([decision, instead])
    return instead


def _by_the_rules(decided: Sequence[Decision]) -> bool:
    """Whether it is where the rules sent it, and nobody since."""
    last = decided[-1]
    return last.reason not in {"moved", "undone"} and (
        last.reason != "fallback" or last.rule_id is not None
    )


def _same(address: str, recipient: str) -> bool:
    return bool(address) and EmailAddress(address).key == recipient.casefold()


def _is_read(session: Session, recipient: str) -> bool:
    """Whether an active department has *recipient* as a mailbox that takes mail."""
    found = (
        sa.select(contact_points.c.id)
        .join(departments, departments.c.id == contact_points.c.department_id)
        .where(
            contact_points.c.value == recipient,
            contact_points.c.kind == PointKind.EMAIL,
            contact_points.c.state.in_(LIVE_STATES),
            departments.c.status == DepartmentStatus.ACTIVE,
        )
        .limit(1)
    )
    return session.scalar(found) is not None
