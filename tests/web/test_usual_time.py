"""How long answers usually take: as measured, where enough were."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from directory.adapters.db import departments, note_written
from directory.adapters.queries import department_by_slug
from directory.parts import Parts
from directory.services import reminders
from tests.builders import a_submission, submit
from tests.web.conftest import client_of
from tests.web.pages import Page, words


def measured(parts: Parts, days: float | None, of: int) -> None:
    with parts.db.writing() as session:
        found = department_by_slug(session, "parking")
        session.connection().execute(
            sa.update(departments)
            .where(departments.c.id == found.id)
            .values(typical_days=days, typical_of=of)
        )
        note_written(session, departments=[found.id])


@pytest.mark.parametrize(
    ("days", "of", "usual", "en", "zh"),
    [
        (3.4, 20, 4, "Usually answers within 4 working days", "4 个工作日"),
        (0.2, 57, 1, "Usually answers within 1 working day", "1 个工作日"),
        (3.4, 19, 2, "Usually answers within 2 working days", "2 个工作日"),
        (None, 0, 2, "Usually answers within 2 working days", "2 个工作日"),
    ],
)
def test_pages_say_what_was_measured_rounded_up_else_the_target(office, days, of, usual, en, zh):
    measured(office, days, of)
    client = client_of(office)

    for path in ("departments/parking", "enquiries/new?topic=permits"):
        assert en in words(Page(client.get(f"/en/{path}")).one("#main"))
        assert zh in words(Page(client.get(f"/zh-hans/{path}")).one("#main"))
    form = Page(client.get("/en/enquiries/new?topic=permits"))
    assert form.one("#destination").attributes["data-reply-days"] == str(usual)


def test_programs_are_told_target_measure_and_sample(office):
    measured(office, 1.5, 57)
    client = client_of(office)

    preview = client.post("/api/v1/route-preview", json={"topic": "permits"}).get_json()
    page = client.get("/en/departments/parking.json").get_json()

    told = {"target_working_days": 2, "typical_working_days": 1.5, "sample": 57}
    assert preview["reply_time"] == page["reply_time"] == told


def test_the_day_an_answer_is_due_by_stays_the_targets(office):
    measured(office, 9.0, 40)

    enquiry = submit(office, a_submission("permits"))

    assert enquiry.answer_by - enquiry.received_at < timedelta(days=3)


def test_twenty_answers_change_what_is_said_by_themselves(office, clock):
    for number in range(20):
        enquiry = submit(office, a_submission("permits", form_token=f"form {number}"))
        with office.db.writing() as session:
            session.merge(enquiry).answered(clock.at + timedelta(days=3))
    clock.advance(days=4)
    with office.db.writing() as session:
        reminders.measure(session, settings=office.settings, now=clock.at)

    page = Page(client_of(office).get("/en/departments/parking"))

    assert "Usually answers within 3 working days" in words(page.one("#main"))
