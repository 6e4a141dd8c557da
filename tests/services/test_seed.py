"""A directory planted from a file: the sample, the start, and files with mistakes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import departments
from directory.adapters.queries import (
    department_by_slug,
    department_rows,
    events_of,
    topic_by_code,
)
from directory.domain.conditions import Facts
from directory.domain.contacts import Department, PointKind, PointState, Topic
from directory.domain.errors import DirectoryError
from directory.domain.questions import question_of
from directory.domain.routing import decide
from directory.services.seed import plant, seed_folder
from tests.builders import MONDAY_NOON, parts_for, settings_for

SAMPLE = seed_folder() / "sample.toml"


def plant_file(session: Session, path: Path, **more: Any) -> None:
    plant(session, path, settings=settings_for(path.parent), now=MONDAY_NOON, by="demo", **more)
    session.flush()


def test_the_sample_holds_the_real_record_as_published(session):
    plant_file(session, SAMPLE, verified_how="sample")

    real = department_by_slug(session, "international-cooperation")
    values = {point.kind: point.value for point in real.points}
    assert values[PointKind.VOICE] == "+862583455189"
    assert values[PointKind.FAX] == "+862583455109"
    assert values[PointKind.EMAIL] == "rdd@jitri.org"
    [address] = [point.address for point in real.points if point.kind is PointKind.PHYSICAL]
    assert address["lines"]["en"] == ["No. 699 Xuanwu Avenue"]
    assert (address["locality"]["en"], address["country"]) == ("Nanjing", "CN")
    assert topic_by_code(session, "cooperation").department_id == real.id


def test_every_other_mailbox_and_number_of_the_sample_belongs_to_nobody(session):
    plant_file(session, SAMPLE)

    for department in session.scalars(sa.select(Department)):
        if department.slug == "international-cooperation":
            continue
        for point in department.points:
            if point.kind is PointKind.EMAIL:
                assert point.value.endswith((".example", "@example.com", "@example.org"))
            elif point.value.startswith("+"):
                # No Chinese subscriber number begins with 0; the other range is kept for drama.
                assert point.value.startswith(("+86250", "+442079460")), point.value


def test_the_sample_speaks_both_languages_everywhere(session):
    plant_file(session, SAMPLE)

    for department in session.scalars(sa.select(Department)):
        assert set(department.name) == set(department.summary) == {"en", "zh-Hans"}
    topics = list(session.scalars(sa.select(Topic)))
    assert "not-sure" in {topic.code for topic in topics}
    for topic in topics:
        assert set(topic.label) == set(topic.hint) == {"en", "zh-Hans"}


def test_sample_mailboxes_are_verified_as_sample_and_due_again_later(session):
    plant_file(session, SAMPLE, verified_how="sample")

    for department in session.scalars(sa.select(Department)):
        for point in department.points:
            assert (point.state, point.verified_how) == (PointState.VERIFIED, "sample")
            assert point.verified_at == MONDAY_NOON
            assert point.due_at == MONDAY_NOON + timedelta(days=180)


def test_a_topic_of_the_sample_asks_a_question(session):
    plant_file(session, SAMPLE)

    asked = question_of(topic_by_code(session, "visits").question)
    assert asked is not None and not asked.required
    assert asked.in_words("6-20", "zh-Hans") == "6 至 20 人"


def test_every_topic_of_the_sample_leads_to_a_live_mailbox(db, tmp_path):
    parts = parts_for(tmp_path, db.url.render_as_string(hide_password=False))
    with parts.db.writing() as session:
        plant(
            session, SAMPLE, settings=parts.settings, now=MONDAY_NOON, by="x", verified_how="sample"
        )

    with parts.db.reading() as session:
        published = parts.published(session, MONDAY_NOON)
    for code in published.topics:
        for language in ("en", "zh-Hans", "any"):
            for country in ("", "CN", "GB"):
                facts = Facts(topic=code, reply_language=language, country=country)
                decision = decide(facts, published.rules, published.routes)
                assert decision.recipient and decision.passed_over == []
    assert decide(Facts(topic="not-sure"), published.rules, published.routes).reason == "topic"
    parts.let_go()


def test_the_tree_and_its_deputies_are_set_whatever_the_order_of_the_file(session, tmp_path):
    path = tmp_path / "seed.toml"
    path.write_text(
        '[[departments]]\nslug = "below"\nname = {en = "Below"}\nparent = "above"\n'
        'deputy = "above"\n'
        '[[departments]]\nslug = "above"\nname = {en = "Above"}\ndeputy = "below"\n'
    )

    plant_file(session, path)

    assert [(row.depth, row.slug) for row in department_rows(session)] == [
        (0, "above"),
        (1, "below"),
    ]
    above, below = (department_by_slug(session, slug) for slug in ("above", "below"))
    assert (above.deputy_id, below.deputy_id) == (below.id, above.id)
    assert events_of(session, f"department:{below.id}")[0].note == "from seed.toml"


TOPIC = '[[topics]]\ncode = "t"\nlabel = {en = "T"}\ndepartment = "one"\n'
DEPARTMENT = '[[departments]]\nslug = "one"\nname = {en = "One"}\n'


@pytest.mark.parametrize(
    "text",
    [
        DEPARTMENT + 'parent = "gone"\n',
        DEPARTMENT + 'deputy = "gone"\n',
        DEPARTMENT + 'hours = "whenever"\n',
        DEPARTMENT + 'languages = ["klingon"]\n',
        DEPARTMENT + 'points = [{kind = "voice", value = "ring us"}]\n',
        DEPARTMENT + 'points = [{kind = "email", value = "no at sign"}]\n',
        '[[departments]]\nslug = "No Slug"\nname = {en = "One"}\n',
        DEPARTMENT + '[[topics]]\ncode = "t"\nlabel = {en = "T"}\ndepartment = "gone"\n',
        DEPARTMENT + '[[topics]]\ncode = "t"\ndepartment = "one"\n',
        DEPARTMENT + TOPIC + 'question = {code = "No Code", label = {en = "Q"}}\n',
        DEPARTMENT + TOPIC + 'question = {code = "q", label = {en = "Q"}, chioces = []}\n',
        DEPARTMENT + '[[rules]]\nid = "r"\nsend_to = "gone"\n',
        DEPARTMENT + '[[rules]]\nid = "r"\nsend_to = "one"\nwhen = {tpoic = ["t"]}\n',
    ],
)
def test_a_mistake_in_the_file_is_said_and_nothing_is_planted(db, tmp_path, text):
    path = tmp_path / "seed.toml"
    path.write_text(text)

    with pytest.raises(DirectoryError), db.writing() as session:
        plant_file(session, path)

    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(departments)) == 0
