from __future__ import annotations

from pathlib import Path

import pytest

from directory.domain.judging import Judgement, ValueKind, Verdict, judge
from directory.domain.messages import MESSAGES, message


def judged_values():
    """The table beside this file: kind, region, verdict, reason, number, value."""
    for line in Path(__file__).with_name("judged_values.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            kind, region, verdict, reason, number, value = line.split(maxsplit=5)
            yield ValueKind(kind), region.strip("-"), verdict, reason, number, value


CASES = list(judged_values())


@pytest.mark.parametrize(
    ("kind", "region", "verdict", "reason", "number", "value"),
    CASES,
    ids=[f"{kind}-{region}-{value}" for kind, region, *_, value in CASES],
)
def test_a_value_is_judged_as_a_careful_colleague_would(
    kind, region, verdict, reason, number, value
):
    found = judge(kind, value, region)

    assert found.verdict == verdict
    assert (found.code or ",".join(found.warnings) or "-") == reason
    extension = f";{found.extension}" if found.extension else ""
    assert f"{found.normalized or '-'}{extension}" == number


def test_every_reason_has_its_sentence_in_both_languages():
    for kind, region, _, _, _, value in CASES:
        found = judge(kind, value, region)
        if found.code:
            assert message(found.code, "zh-Hans", **dict(found.params))
        assert set(found.warnings) <= MESSAGES.keys()


def test_a_fax_equal_to_the_phone_is_doubted():
    same = judge(ValueKind.FAX, "025-83455189", "CN", phones={"+862583455189"})
    other = judge(ValueKind.FAX, "025-83455109", "CN", phones={"+862583455189"})

    assert same.warnings == ("fax.same_as_phone",)
    assert other.verdict is Judgement.VALID


def test_a_phone_may_equal_itself():
    found = judge(ValueKind.PHONE, "025-83455189", "CN", phones={"+862583455189"})

    assert found.verdict is Judgement.VALID


def test_a_valid_number_says_all_there_is_to_say():
    assert judge(ValueKind.PHONE, "+44 20 7946 0123 ext. 12") == Verdict(
        Judgement.VALID, None, (), "+442079460123", "12", "fixed_line"
    )


def test_an_invalid_value_says_why_and_nothing_else():
    assert judge(ValueKind.EMAIL, "name@example") == Verdict(
        Judgement.INVALID,
        "email.bad_domain",
        (),
        None,
        "",
        "unknown",
        (("domain", "example"),),
    )


def test_letters_beyond_ascii_are_no_matter_where_they_can_be_sent_to():
    assert judge(ValueKind.EMAIL, "李伟@例子.广告").warnings == ("email.smtputf8",)
    assert judge(ValueKind.EMAIL, "李伟@例子.广告", smtputf8=True).verdict is Judgement.VALID


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ("info@institute.con", "email.domain_typo"),
        ("info@institute.xx", "email.unknown_ending"),
        ("info@mail.institute.local", "email.reserved_domain"),
        ("info@institute.internal", "email.reserved_domain"),
        ("noreply@institute.example", "email.no_reply"),
        ("li.wei@institute.example", "email.personal"),
    ],
)
def test_doubtful_mailboxes_are_warned_of(value, warning):
    assert judge(ValueKind.EMAIL, value).warnings == (warning,)


def test_a_number_and_its_line_break_are_two():
    assert judge(ValueKind.PHONE, "025-83455189\n025-83455190", "CN").code == "phone.two_numbers"
