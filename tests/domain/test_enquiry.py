"""Where an enquiry stands."""

from __future__ import annotations

from datetime import timedelta

import pytest

from directory.domain.enquiry import Enquiry, EnquiryStatus, Finding
from tests.builders import MONDAY_NOON

LATER = MONDAY_NOON + timedelta(minutes=1)


def an_enquiry(**changes: object) -> Enquiry:
    values = {
        "ref": "7K4M2QXD",
        "received_at": MONDAY_NOON,
        "form_token": "t",
        "body_hash": "h",
        "language": "en",
        "message": "May I park at the gate?",
        "name": "Li Wei",
    }
    return Enquiry(**(values | changes))  # type: ignore[arg-type]


def test_it_is_received_until_the_departments_mail_is_accepted():
    enquiry = an_enquiry()
    assert (enquiry.status, enquiry.routed_at) == (EnquiryStatus.RECEIVED, None)

    assert enquiry.accepted_by_department(LATER)

    assert (enquiry.status, enquiry.routed_at) == (EnquiryStatus.ROUTED, LATER)
    assert enquiry.version == 2


@pytest.mark.parametrize("status", [s for s in EnquiryStatus if s is not EnquiryStatus.RECEIVED])
def test_late_news_from_the_mail_server_does_not_take_it_back_to_an_earlier_state(status):
    enquiry = an_enquiry(status=status)

    assert not enquiry.accepted_by_department(LATER)

    assert (enquiry.status, enquiry.routed_at, enquiry.version) == (status, None, 1)


def test_needing_attention_is_a_flag_beside_the_status():
    enquiry = an_enquiry()

    enquiry.needs_attention("refused")

    assert (enquiry.attention, enquiry.status) == ("refused", EnquiryStatus.RECEIVED)
    assert enquiry.version == 2


def test_a_finding_of_a_step_after_the_rules_has_no_number():
    finding = Finding(None, 0, {"en": "the topic’s department"}, True, {"en": "topic is Permits"})

    assert finding.to_json() == {
        "rule": None,
        "id": None,
        "name": {"en": "the topic’s department"},
        "matched": True,
        "why": {"en": "topic is Permits"},
    }
