"""Departments change with a history, can be put back, and stay reachable under their old names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from directory.adapters.db import deliveries
from directory.adapters.queries import (
    department_by_slug,
    department_ever_called,
    events_of,
    topic_by_code,
)
from directory.domain.columns import columns_of
from directory.domain.contacts import DepartmentStatus, PointKind, PointState
from directory.domain.delivery import Delivery, DeliveryKind
from directory.domain.errors import Conflict, InvalidValue, NotFound
from directory.parts import Parts
from directory.services.contacts import (
    about_department,
    add_department,
    amend_department,
    close_department,
    restore_department,
    slugs,
)
from tests.builders import SetClock


def amend(parts: Parts, slug: str, /, **cells: str) -> dict[str, tuple[str, str]]:
    parts.now.advance(minutes=1)  # type: ignore[attr-defined]
    with parts.db.writing() as session:
        return amend_department(
            session,
            slug,
            cells,
            settings=parts.settings,
            now=parts.now(),
            by="editor@x.example",
            reason="they moved",
        )


def restore(parts: Parts, slug: str, event_id: int) -> dict[str, tuple[str, str]]:
    parts.now.advance(minutes=1)  # type: ignore[attr-defined]
    with parts.db.writing() as session:
        return restore_department(
            session,
            slug,
            event_id,
            settings=parts.settings,
            now=parts.now(),
            by="editor@x.example",
            reason="a mistake",
        )


def close(parts: Parts, slug: str, successor: str) -> None:
    with parts.db.writing() as session:
        close_department(
            session,
            slug,
            successor=successor,
            settings=parts.settings,
            now=parts.now(),
            by="editor@x.example",
        )


def add(parts: Parts, slug: str, **cells: str) -> None:
    with parts.db.writing() as session:
        add_department(
            session,
            slug,
            {"name_en": slug.capitalize(), **cells},
            settings=parts.settings,
            now=parts.now(),
            by="editor@x.example",
        )


def columns(parts: Parts, slug: str) -> dict[str, str]:
    with parts.db.reading() as session:
        return columns_of(department_by_slug(session, slug), slugs=slugs(session))


def history(parts: Parts, slug: str) -> list[Any]:
    with parts.db.reading() as session:
        return events_of(session, about_department(department_ever_called(session, slug)))


def notices(parts: Parts) -> list[Delivery]:
    with parts.db.reading() as session:
        wanted = sa.select(Delivery).where(deliveries.c.kind == DeliveryKind.CHANGE_NOTICE)
        return list(session.scalars(wanted.order_by(deliveries.c.recipient)))


# History


def test_every_change_has_author_reason_and_what_it_was_before(office):
    amend(office, "parking", name_en="Car Park", fax="025 8345 5190")

    [changed] = history(office, "parking")
    assert (changed.type, changed.by, changed.note) == (
        "amended",
        "editor@x.example",
        "they moved",
    )
    assert changed.before == {"name_en": "Parking", "fax": ""}
    assert changed.after == {"name_en": "Car Park", "fax": "+86 25 8345 5190"}


def test_what_changes_nothing_leaves_no_trace(office):
    assert amend(office, "parking", name_en="Parking") == {}
    assert history(office, "parking") == []


def test_a_restore_is_one_more_change_and_rewrites_nothing(office):
    add(office, "library", phone="025 8345 5189", fax="025 8345 5190")
    [added] = history(office, "library")
    before = columns(office, "library")
    amend(office, "library", phone="025 8345 5111", fax="-", name_zh_hans="图书馆")
    amend(office, "library", notes="who knows")

    changed = restore(office, "library", added.id)

    assert columns(office, "library") == before
    assert changed["fax"] == ("", "+86 25 8345 5190")
    assert [event.type for event in history(office, "library")] == [
        "added",
        "amended",
        "amended",
        "restored",
    ]


def test_a_restore_can_be_restored(office):
    add(office, "library")
    amend(office, "library", name_en="Books")
    added, amended = history(office, "library")
    restore(office, "library", added.id)

    restore(office, "library", amended.id)

    assert columns(office, "library")["name_en"] == "Books"


def test_an_event_of_another_department_cannot_be_restored(office):
    amend(office, "parking", name_en="Car Park")
    [other] = history(office, "parking")
    with pytest.raises(NotFound, match=str(other.id)):
        restore(office, "media", other.id)


NUMBERS = st.sampled_from(
    ["025 8345 5189", "025 8345 5190 转 808", "+44 20 7946 0123", "010-62556255", "-"]
)
TEXTS = st.text(
    st.characters(whitelist_categories=("L", "N"), max_codepoint=0x9FFF), min_size=1, max_size=8
)
CELLS: Mapping[str, st.SearchStrategy[str]] = {
    "phone": NUMBERS,
    "phone2": NUMBERS,
    "fax": NUMBERS,
    "phone_label_en": TEXTS,
    "email": st.sampled_from(["a@institute.example", "b@institute.example"]),
    "email2": st.sampled_from(["c@institute.example", "d@institute.example", "-"]),
    "routing_email": st.sampled_from(["e@institute.example", "c@institute.example", "-"]),
    "name_en": TEXTS,
    "summary_zh_hans": st.one_of(TEXTS, st.just("-")),
    "other_names": st.lists(TEXTS, max_size=3).map("|".join),
    "hours": st.sampled_from(["Mo-Fr 09:00-17:30; PH off", "24/7", "-"]),
    "closures": st.sampled_from(["2026-10-01..2026-10-08", "-"]),
    "reply_days": st.sampled_from(["1", "5", "-"]),
    "parent": st.sampled_from(["media", "admissions", "-"]),
    "street_en": st.sampled_from(["Gate 2", "Level 3|Block A"]),
    "locality_en": st.sampled_from(["Nanjing", "Suzhou"]),
    "slug": st.sampled_from(["library", "books", "reading-room"]),
    "notes": st.one_of(TEXTS, st.just("-")),
}
AMENDMENTS = st.lists(
    st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: CELLS[name] for name in names})
    ),
    min_size=1,
    max_size=5,
)


@hypothesis_settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(amendments=AMENDMENTS)
def test_whatever_was_changed_a_restore_brings_every_column_back(office, amendments):
    class Undone(Exception):
        pass

    with pytest.raises(Undone), office.db.writing() as session:
        made = add_department(
            session,
            "library",
            {"name_en": "Library", "email": "a@institute.example", "country": "CN"},
            settings=office.settings,
            now=office.now(),
            by="editor",
        )
        session.flush()
        seen: list[tuple[int, dict[str, str]]] = []

        def look() -> None:
            last = events_of(session, about_department(made))[-1]
            seen.append((last.id, columns_of(made, slugs=slugs(session))))

        look()
        for cells in amendments:
            try:
                with session.begin_nested():
                    amend_department(
                        session,
                        made.slug,
                        cells,
                        settings=office.settings,
                        now=office.now(),
                        by="editor",
                    )
            except Exception as error:
                # Such as a label for a number that is not there: refused whole.
                assert hasattr(error, "code"), error
                session.refresh(made)
            look()
        for event_id, before in seen:
            restore_department(
                session,
                made.slug,
                event_id,
                settings=office.settings,
                now=office.now(),
                by="editor",
            )
            session.flush()
            assert columns_of(made, slugs=slugs(session)) == before
        raise Undone


# Names


def test_an_old_name_leads_to_the_department_and_to_nobody_else(office):
    amend(office, "parking", slug="car-park")
    amend(office, "car-park", slug="vehicles")

    with office.db.reading() as session:
        for name in ("parking", "car-park", "vehicles"):
            assert department_ever_called(session, name).slug == "vehicles"
    with pytest.raises(InvalidValue) as refused:
        add(office, "parking")
    assert refused.value.code == "slug.taken"
    with pytest.raises(InvalidValue, match="is used by"):
        amend(office, "media", slug="car-park")


def test_a_department_may_have_its_own_old_name_back(office):
    amend(office, "parking", slug="car-park")

    amend(office, "car-park", slug="parking")

    with office.db.reading() as session:
        assert department_by_slug(session, "parking").slug == "parking"
        assert department_ever_called(session, "car-park").slug == "parking"


def test_a_name_that_another_took_meanwhile_cannot_be_restored(office):
    add(office, "library")
    amend(office, "library", slug="books")
    added, _ = history(office, "library")
    with office.db.writing() as session:
        # As an import may, that is told to take the name over.
        session.execute(sa.text("DELETE FROM slug_history"))
    add(office, "library")

    with pytest.raises(InvalidValue) as refused:
        restore(office, "books", added.id)

    assert refused.value.code == "slug.taken"
    assert columns(office, "books")["slug"] == "books"


# Closing


def test_a_closed_department_is_opened_again_by_a_restore_with_its_topics(office):
    amend(office, "parking", name_en="Car Park")
    [amended] = history(office, "parking")
    close(office, "parking", "media")

    changed = restore(office, "parking", amended.id)

    assert changed["status"] == ("closed", "active")
    with office.db.reading() as session:
        parking = department_by_slug(session, "parking")
        assert (parking.status, parking.successor_id) == (DepartmentStatus.ACTIVE, None)
        assert topic_by_code(session, "permits").department_id == parking.id


def test_a_department_is_not_closed_by_a_restore(office):
    amend(office, "parking", name_en="Car Park")
    [amended] = history(office, "parking")
    close(office, "parking", "media")
    closed = history(office, "parking")[-1]
    restore(office, "parking", amended.id)

    with pytest.raises(Conflict, match="successor"):
        restore(office, "parking", closed.id)


# What a change sets going


def test_old_and_new_mailbox_are_told_once_each_where_the_mail_goes(office):
    amend(office, "parking", email="cars@institute.example")

    old, new = notices(office)[::-1]
    assert (old.recipient, new.recipient) == (
        "parking@institute.example",
        "cars@institute.example",
    )
    assert old.inputs["old_address"] == "parking@institute.example"
    assert old.inputs["new_address"] == "cars@institute.example"
    assert (old.inputs["by"], old.inputs["reason"]) == ("editor@x.example", "they moved")
    assert old.message_id != new.message_id


def test_who_gets_no_mail_is_told_nothing(office):
    amend(office, "parking", email2="more@institute.example", name_en="Car Park")
    add(office, "library", email="library@institute.example")
    assert notices(office) == []


def test_a_mailbox_for_enquiries_alone_is_a_change_of_where_mail_goes(office):
    amend(office, "parking", routing_email="inbox@institute.example")
    assert [it.recipient for it in notices(office)] == [
        "inbox@institute.example",
        "parking@institute.example",
    ]


def test_nobody_is_told_of_what_was_not_done(office):
    class Undone(Exception):
        pass

    with pytest.raises(Undone), office.db.writing() as session:
        amend_department(
            session,
            "parking",
            {"email": "cars@institute.example"},
            settings=office.settings,
            now=office.now(),
            by="editor",
        )
        raise Undone
    assert notices(office) == []


def test_a_closed_departments_mailbox_learns_who_gets_its_mail_now(office):
    close(office, "parking", "media")
    assert [it.recipient for it in notices(office)] == [
        "media@institute.example",
        "parking@institute.example",
    ]


def test_a_changed_value_is_proposed_again_and_a_new_mailbox_is_due_at_once(
    office: Parts, clock: SetClock
):
    amend(office, "parking", email="cars@institute.example", phone="025 8345 5111")

    with office.db.reading() as session:
        points = department_by_slug(session, "parking").points
    mailbox = next(point for point in points if point.kind is PointKind.EMAIL)
    phone = next(point for point in points if point.kind is PointKind.VOICE)
    assert (mailbox.state, mailbox.due_at) == (PointState.PROPOSED, clock.at)
    assert (phone.state, phone.verified_at) == (PointState.PROPOSED, None)
