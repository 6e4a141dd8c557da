"""Departments and their contact points: which mailbox, what is shown, a tree that is one."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest

from directory.domain.contacts import (
    LIVE_STATES,
    ContactPoint,
    Department,
    PointKind,
    PointState,
    by_position,
    check_tree,
    localised,
)
from directory.domain.errors import Conflict, InvalidValue
from tests.builders import MONDAY_NOON, a_department, a_mailbox, a_phone, a_topic


@pytest.mark.parametrize(
    ("text", "language", "shown"),
    [
        ({"en": "Library", "zh-Hans": "图书馆"}, "zh-Hans", ("图书馆", "zh-Hans")),
        ({"en": "Library"}, "zh-Hans", ("Library", "en")),
        ({"zh-Hans": "图书馆"}, "en", ("图书馆", "zh-Hans")),
        ({"en": "", "zh-Hans": "图书馆"}, "en", ("图书馆", "zh-Hans")),
        ({}, "en", ("", "en")),
        ({"en": ""}, "en", ("", "en")),
    ],
)
def test_a_text_is_shown_in_the_language_asked_for_else_in_another_that_is_named(
    text, language, shown
):
    assert localised(text, language) == shown


def test_enquiries_go_to_the_mailbox_marked_for_them_though_it_is_not_public():
    department = a_department(
        points=[
            a_mailbox("office@x.example"),
            a_mailbox("intake@x.example", public=False, routing=True, position=9),
        ]
    )

    assert department.mailbox.value == "intake@x.example"


def test_without_a_mark_the_first_public_mailbox_takes_enquiries():
    department = a_department(
        points=[
            a_mailbox("inner@x.example", public=False, position=1),
            a_mailbox("second@x.example", position=3),
            a_mailbox("first@x.example", position=2),
            a_phone("+86 25 0345 5100", position=0),
        ]
    )

    assert department.mailbox.value == "first@x.example"


@pytest.mark.parametrize("state", PointState)
def test_a_mailbox_takes_mail_until_it_is_suspended_or_retired(state):
    department = a_department(points=[a_mailbox("office@x.example", state=state)])

    live = state not in {PointState.SUSPENDED, PointState.RETIRED}
    assert (department.mailbox is not None) is live
    assert (state in LIVE_STATES) is live


def test_a_department_without_mail_has_no_mailbox():
    assert a_department(points=[a_phone("+86 25 0345 5100")]).mailbox is None


def test_visitors_see_what_is_public_and_not_retired_in_its_order():
    department = a_department(
        points=[
            a_mailbox("inner@x.example", public=False),
            a_phone("+86 25 0345 5100", position=3),
            a_mailbox("office@x.example", position=2, state=PointState.SUSPECT),
            a_phone("+86 25 0345 5101", position=1, state=PointState.RETIRED),
            a_phone("+86 25 0345 5109", position=4, kind=PointKind.FAX),
        ]
    )

    assert [p.value for p in department.public_points()] == [
        "office@x.example",
        "+862503455100",
        "+862503455109",
    ]
    assert [p.value for p in department.public_points(PointKind.FAX)] == ["+862503455109"]


def test_a_new_contact_point_is_only_proposed_and_still_takes_mail():
    point = ContactPoint(kind=PointKind.EMAIL, value="office@x.example")

    assert (point.state, point.live, point.verified_at) == (PointState.PROPOSED, True, None)


def chain(length: int) -> list[Department]:
    """Departments each inside the one before."""
    made = [a_department(f"D{number}") for number in range(length)]
    for above, below in pairwise(made):
        below.parent_id = above.id
    return made


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_department_cannot_be_put_inside_itself_or_what_is_inside_it(length):
    tree = chain(length)
    parents = {department.id: department.parent_id for department in tree}

    with pytest.raises(InvalidValue) as refused:
        check_tree(tree[0], tree[-1].id, parents)

    assert refused.value.code == "parent.cycle"
    assert str(refused.value) == "D0 cannot be inside itself"


def test_any_other_place_in_the_tree_is_fine():
    tree = chain(3)
    other = a_department("Other")
    parents = {department.id: department.parent_id for department in [*tree, other]}

    check_tree(other, tree[2].id, parents)
    check_tree(tree[2], other.id, parents)
    check_tree(tree[2], None, parents)
    assert tree[2].parent_id == tree[1].id  # checked, not moved


def test_a_parent_that_is_not_known_ends_the_search():
    check_tree(a_department(), uuid4(), {})
    assert a_department().parent_id is None


def test_topics_are_listed_by_their_position_then_their_code():
    somewhere = a_department()
    listed = by_position(
        [
            a_topic("b", somewhere, position=2),
            a_topic("a", somewhere, position=2),
            a_topic("z", somewhere, position=1),
        ]
    )

    assert [topic.code for topic in listed] == ["z", "a", "b"]


# How far a contact point is trusted


@pytest.mark.parametrize("state", PointState)
def test_a_changed_value_is_proposed_again_whatever_was_known_of_the_old(state):
    point = a_mailbox("parking@institute.example", state=state, due_at=MONDAY_NOON)
    if state is PointState.RETIRED:
        with pytest.raises(Conflict):
            point.changed()
        return
    point.changed()
    assert (point.state, point.verified_at, point.verified_by, point.due_at) == (
        PointState.PROPOSED,
        None,
        "",
        None,
    )


@pytest.mark.parametrize(
    ("state", "to"),
    [
        (PointState.VERIFIED, PointState.VERIFYING),
        (PointState.SUSPECT, PointState.VERIFYING),
        (PointState.SUSPENDED, PointState.SUSPECT),
        *((PointState.RETIRED, state) for state in PointState if state != PointState.RETIRED),
    ],
)
def test_some_ways_lead_nowhere(state, to):
    point = a_mailbox("parking@institute.example", state=state)
    with pytest.raises(Conflict, match="cannot become"):
        point.become(to)
    assert point.state is state


@pytest.mark.parametrize("state", [state for state in PointState if state != PointState.RETIRED])
def test_a_check_leads_up_from_everywhere(state):
    point = a_mailbox("parking@institute.example", state=state, verified_at=None)
    due = MONDAY_NOON + timedelta(days=180)

    point.verified(MONDAY_NOON, how="editor", by="me", due=due)

    assert (point.state, point.verified_at, point.due_at) == (
        PointState.VERIFIED,
        MONDAY_NOON,
        due,
    )


def test_asking_makes_only_what_nobody_checked_verifying():
    for state in LIVE_STATES:
        point = a_mailbox("parking@institute.example", state=state)
        point.asked(MONDAY_NOON)
        expected = PointState.VERIFYING if state is PointState.PROPOSED else state
        assert (point.state, point.due_at) == (expected, MONDAY_NOON)


@pytest.mark.parametrize(
    ("state", "mailbox", "number"),
    [
        (PointState.VERIFIED, True, True),
        (PointState.SUSPECT, True, True),
        (PointState.SUSPENDED, False, True),
        (PointState.RETIRED, False, False),
    ],
)
def test_visitors_are_not_sent_to_a_mailbox_that_takes_no_mail(state, mailbox, number):
    assert a_mailbox("parking@institute.example", state=state).shown is mailbox
    assert a_phone("025 8345 5189", state=state).shown is number
    assert a_mailbox("parking@institute.example", state=state, public=False).shown is False
