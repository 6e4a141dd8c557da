"""Where it goes: the form, the API and what is done with a form that was sent say the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from directory.adapters.db import enquiries
from directory.adapters.links import link_in
from directory.adapters.queries import (
    decisions_of,
    department_by_slug,
    enquiry_by_ref,
    topic_by_code,
)
from directory.domain.contacts import Department, PointState
from directory.domain.enquiry import Decision
from directory.domain.routing import decide, facts_from
from directory.parts import Parts
from directory.services.contacts import amend_department
from directory.services.rules import publish_rules
from tests.builders import MONDAY_NOON, OFFICE_RULES
from tests.web.conftest import client_of
from tests.web.pages import TYPED, Page, send, shown_form, words

API = "/api/v1/route-preview"
SUNDAY = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
LAST = OFFICE_RULES[-1]
QUESTION = {
    "code": "cars",
    "label": {"en": "How many cars?"},
    "choices": [{"value": value, "label": {"en": value}} for value in ("one", "more")],
}


def publish(parts: Parts, *rules: dict[str, Any]) -> None:
    named = [{"id": f"rule-{number}", **rule} for number, rule in enumerate(rules, 1)]
    with parts.db.writing() as session:
        # Unexamined: random rules are rarely good ones.
        publish_rules(session, [*named, LAST], reason="test", by="test", now=MONDAY_NOON)


def shown(page: Page) -> tuple[str, bool]:
    panel = page.one("#destination").attributes
    return str(panel["data-department"]), panel["data-certain"] == "true"


def previewed(client: FlaskClient, **fields: Any) -> tuple[str, bool]:
    answer = client.post(API, json=fields, headers={"Accept-Language": "en"})
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    return body["destination"]["department"], body["certain"]


# They agree


TOPICS = ["permits", "apply", "not-sure"]
SLUGS = ["parking", "admissions", "media", "enquiry-desk"]
WORDS = ["visa", "gate", "签证", "newspaper"]
SOURCES = ["", "/visit/map", "https://www.institute.example/visit"]
MESSAGES = [
    "May I park at the gate?",
    "My visa application was refused. What should I do now?",
    "请问签证需要哪些材料？",
    "請問簽證需要哪些材料？",
    "Bonjour, je voudrais visiter votre laboratoire",
    "zxcv",
]
KNOWN = "known@example.com"


def some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


unknown = st.one_of(
    st.builds(lambda v, how: {"words": {how: v}}, some(WORDS), st.sampled_from(["any", "all"])),
    st.builds(lambda v: {"text_language": v}, some(["en", "zh", "zh-Hant", "fr"])),
    st.builds(lambda v: {"returning": v}, st.booleans()),
)
known = st.one_of(
    st.builds(lambda v: {"topic": v}, some(TOPICS)),
    st.builds(lambda v: {"department": v}, some(SLUGS)),
    st.builds(lambda v: {"reply_language": v}, some(["en", "zh-Hans", "any"])),
    st.builds(lambda v: {"country": v}, some(["CN", "GB"])),
    st.builds(lambda v: {"open": v}, st.sampled_from(["enquiry-desk", "media"])),
    st.builds(lambda v: {"source": v}, some(["/visit", "https://www.institute.example"])),
    st.builds(lambda v: {"origin": v}, some(["https://www.institute.example"])),
    st.builds(lambda v: {"answer": {"cars": v}}, some(["one", "more"])),
)
# Half of what rules ask is what a form cannot know yet.
conditions = st.recursive(
    st.one_of(unknown, known),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=5,
)
rule_lists = st.lists(
    st.builds(lambda when, to: {"when": when, "send_to": to}, conditions, st.sampled_from(SLUGS)),
    min_size=1,
    max_size=4,
)
forms = st.fixed_dictionaries(
    {
        "topic": st.sampled_from([*TOPICS, "permits"]),
        "department": st.sampled_from(["", "", *SLUGS]),
        "answer": st.sampled_from(["", "one", "more"]),
        "message": st.sampled_from(MESSAGES),
        "subject": st.sampled_from(["", "visa", "A question"]),
        "reply_language": st.sampled_from(["en", "zh-Hans", "any"]),
        "country": st.sampled_from(["", "CN", "GB"]),
        "email": st.sampled_from([KNOWN, "new@example.com"]),
        "from": st.sampled_from(SOURCES),
    }
)
addresses = count(1)


@pytest.fixture
def asking(office: Parts) -> Parts:
    """The office, whose topic "permits" asks a question, and to which somebody wrote before."""
    with office.db.writing() as session:
        topic_by_code(session, "permits").question = QUESTION
    assert send(client_of(office), email=KNOWN).status_code == 303
    return office


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(rules=rule_lists, filled=st.lists(forms, min_size=2, max_size=3), hours=st.integers(0, 60))
def test_form_api_and_decision_agree_whenever_it_is_certain(asking, clock, rules, filled, hours):
    clock.at = MONDAY_NOON + timedelta(hours=hours)
    client = client_of(asking)
    publish(asking, *rules)
    for typed in filled:
        # Another sender each time: who sends much is refused.
        client.environ_base["REMOTE_ADDR"] = f"10.{next(addresses)}.0.1"
        fields = TYPED | typed | {"email": f"{next(addresses)}.{typed['email']}"}
        if typed["email"] == KNOWN:
            fields["email"] = KNOWN
        told = {name: value for name, value in fields.items() if name in typed}
        unwritten = {"message": "", "subject": ""}
        hidden = shown_form(client, topic=typed["topic"])
        early = shown(change(client, hidden | fields | unwritten))
        late = shown(change(client, hidden | fields))

        assert previewed(client, **told | unwritten) == early
        assert previewed(client, **told) == late

        sent = client.post("/en/enquiries", data=hidden | fields)
        assert sent.status_code == 303, Page(sent).errors
        decision, department = decision_behind(asking, sent.location)
        for slug, certain in (early, late):
            assert not certain or slug == department
        # What else differs from the preview is the words, and whether they wrote before.
        answers = {"cars": typed["answer"]} if typed["topic"] == "permits" else {}
        rest = {"answers": answers, "at": clock.at, "returning": typed["email"] == KNOWN}
        facts = facts_from(told | rest)
        with asking.db.reading() as session:
            published = asking.published(session, clock.at)
            routes = published.routes_with(session, typed["department"])
        again = decide(facts, published.rules, routes)
        assert (again.department_id, again.rule_id) == (decision.department_id, decision.rule_id)
        clock.advance(seconds=1)


def change(client: FlaskClient, fields: dict[str, str]) -> Page:
    return Page(client.post("/en/enquiries", data=fields | {"action": "change"}))


def decision_behind(parts: Parts, location: str) -> tuple[Decision, str]:
    symbols = link_in(location.partition("/e/")[2].partition("?")[0]).symbols
    with parts.db.reading() as session:
        [decision] = decisions_of(session, enquiry_by_ref(session, symbols))
        return decision, session.get_one(Department, decision.department_id).slug


# The API


def test_the_preview_has_the_shape_of_the_contract(client):
    answer = client.post(API, json={"topic": "apply"})

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.get_json() == {
        "destination": {
            "department": "admissions",
            "name": {"en": "Admissions", "zh-Hans": "Admissions处"},
            "reason": "topic",
            "rule": None,
        },
        "certain": True,
        "reply_time": {"target_working_days": 3, "typical_working_days": None, "sample": 0},
        "notices": [],
        "trace": None,
    }


def test_every_field_may_be_left_out_or_half_typed(client):
    for body in ({}, {"topic": None}, {"topic": "", "email": "not yet", "phone": "x"}):
        assert previewed(client, **body) == ("enquiry-desk", True)


def test_what_does_not_exist_is_said(client):
    answer = client.post(API, json={"topic": "gone", "department": "gone", "x": "", "name": 1})

    assert answer.status_code == 422
    told = {(it["pointer"], it["code"]) for it in answer.get_json()["errors"]}
    assert told == {("/x", "field.unknown"), ("/name", "field.text")}
    answer = client.post(API, json={"topic": "gone", "department": "gone"})
    told = {(it["pointer"], it["code"]) for it in answer.get_json()["errors"]}
    assert told == {("/topic", "topic.unknown"), ("/department", "choice.unknown")}


def test_a_rule_that_decides_is_named_by_its_place_and_nothing_is_stored(client, office):
    body = {"topic": "not-sure", "message": "I write for a newspaper"}

    answer = client.post(API, json=body).get_json()

    assert answer["destination"]["department"] == "media"
    assert (answer["destination"]["reason"], answer["destination"]["rule"]) == ("rule", 1)
    assert (answer["certain"], answer["trace"]) == (False, None)
    with office.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(enquiries)) == 0


# Notices, where they are true


def notices(client: FlaskClient, **fields: str) -> list[tuple[str, str]]:
    told = client.post(API, json=fields, headers={"Accept-Language": "en"}).get_json()["notices"]
    return [(notice["code"], notice["text"]) for notice in told]


def test_a_department_that_is_closed_says_when_it_opens_again(client, clock):
    assert notices(client, topic="not-sure") == []
    clock.at = SUNDAY

    [(code, text)] = notices(client, topic="not-sure")

    assert code == "closed" and text.startswith("Closed now; opens")
    panel = Page(client.get("/en/enquiries/new?topic=not-sure")).one("#destination")
    assert text in words(panel)


def test_who_reads_it_in_another_s_place_is_named_and_no_mailbox_is(client, office):
    suspend(office, "parking")

    assert notices(client, topic="permits") == [
        ("covered", "Admissions reads it in place of Parking.")
    ]
    assert previewed(client, topic="permits") == ("admissions", True)
    suspend(office, "admissions")
    assert notices(client, topic="permits") == [
        ("desk", "Enquiry Desk reads it in place of Parking.")
    ]


def test_holidays_on_the_way_to_the_answer_are_said(quick, clock):
    assert notices(quick, topic="apply") == []
    clock.at = datetime(2026, 9, 30, 4, 0, tzinfo=UTC)  # before the National Day holidays

    [(code, text)] = notices(quick, topic="apply")

    assert code == "late"
    assert text == "Later than usual, because of holidays: by Sat 10 Oct 2026."


def suspend(parts: Parts, slug: str) -> None:
    with parts.db.writing() as session:
        for point in department_by_slug(session, slug).points:
            if point.kind.value == "email":
                point.state = PointState.SUSPENDED


# Uncertain, and said so


def test_the_form_says_what_may_still_change_it(client, office):
    publish(office, {"when": {"returning": True}, "send_to": "media"})
    page = Page(client.get("/en/enquiries/new?topic=apply"))
    assert shown(page) == ("admissions", False)
    assert "Whether you wrote to us before may still change this." in words(
        page.one("#destination")
    )

    publish(office, {"when": {"text_language": ["zh"]}, "send_to": "media"})
    page = Page(client.get("/zh-hans/enquiries/new?topic=apply"))
    assert shown(page) == ("admissions", False)
    assert "您填写的内容可能会改变去向。" in words(page.one("#destination"))

    publish(office, {"when": {"topic": ["permits"]}, "send_to": "media"})
    page = Page(client.get("/en/enquiries/new?topic=apply"))
    assert shown(page) == ("admissions", True)
    assert "change this" not in words(page.one("#destination"))


def test_while_the_database_is_away_the_form_still_says_where_it_goes(quick, quick_office):
    fields = shown_form(quick, topic="apply") | TYPED | {"topic": "apply"}
    quick_office.db.dispose()
    path = str(quick_office.settings.database_url).removeprefix("sqlite:///")
    Path(path).rename(f"{path}.away")
    Path(path).mkdir()  # nothing that could be opened as a database

    page = Page(quick.post("/en/enquiries", data=fields))

    assert page.status == 503
    assert shown(page) == ("admissions", True)


def test_a_part_of_the_page_is_the_same_as_in_the_page(client):
    fields = shown_form(client) | TYPED | {"action": "change", "topic": "apply"}
    page = Page(client.post("/en/enquiries", data=fields))

    answer = client.post("/en/enquiries?part=where", data=fields)

    part = Page(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert [node.attributes["data-part"] for node in part.all("[data-part]")] == [
        *("trail", "heading", "panel", "question", "consent", "send", "aside")
    ]
    for name in ("trail", "heading", "panel", "send"):
        assert part.one(f"[data-part={name}]").html == page.one(f"[data-part={name}]").html
    assert len(part.text) < len(page.text) / 4


# Told afterwards


def test_when_it_went_elsewhere_than_shown_the_visitor_is_told_by_which_rule(client, office):
    # Shown before the words were there.
    response = send(client, topic="not-sure", message="A newspaper wrote of it")

    own = words(Page(client.get(response.location)).one("main"))
    assert (
        "We sent it to Media instead, because topic is Not sure and mentions “newspaper” "
        "(rule “Newspapers”)." in own
    )
    # Somebody else with the link is not told what the message has in it.
    other = words(Page(client_of(office).get(response.location)).one("main"))
    assert "We sent it to Media instead." in other and "newspaper" not in other


def test_what_went_where_it_was_shown_says_nothing_of_it(client):
    page = Page(client.get(send(client).location))

    assert "instead" not in words(page.one("main"))


def test_a_department_renamed_since_is_still_the_one_shown(client, office):
    response = send(client)
    with office.db.writing() as session:
        amend_department(
            session,
            "parking",
            {"slug": "car-parks"},
            settings=office.settings,
            now=office.now(),
            by="test",
        )

    assert "instead" not in words(Page(client.get(response.location)).one("main"))
