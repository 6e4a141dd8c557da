from __future__ import annotations

import ast
from pathlib import Path
from string import Formatter

import pytest

import directory
from directory.domain.errors import InvalidValue
from directory.domain.messages import MESSAGES, FileSize, country_name, message

# What clients of the API already match on; a code leaves this list never.
PUBLISHED = """
    topic.required topic.unknown message.required message.too_long name.required name.has_link
    name.too_long email.required email.no_at email.bad_domain email.bad_char email.smtputf8
    email.two_addresses email.too_long email.personal email.no_mx phone.required phone.letters
    phone.two_numbers phone.too_short phone.too_long phone.invalid phone.ext_inside
    consent.required consent_transfer.required attachment.too_big attachment.type
    attachment.too_many form.already_sent form.expired form.rate_limited subject.too_long
    organisation.too_long text.control choice.unknown what.required fax.same_as_phone
    postcode.cn postcode.sg slug.taken parent.cycle rule.no_fallback
"""


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def test_every_published_code_has_its_sentence():
    assert [code for code in PUBLISHED.split() if code not in MESSAGES] == []


@pytest.mark.parametrize("code", MESSAGES)
def test_both_languages_say_the_same_with_the_same_placeholders(code):
    sentence = MESSAGES[code]

    assert sentence.en and sentence.zh and sentence.en != sentence.zh
    assert placeholders(sentence.en) == placeholders(sentence.zh)
    assert not sentence.en.endswith((".", " ")) and not sentence.zh.endswith(("。", " "))


@pytest.mark.parametrize("language", ["zh-Hans", "zh-hans", "zh_Hans", "zh", "ZH-CN"])
def test_every_way_to_write_chinese_reads_chinese(language):
    assert message("name.required", language) == "请填写您的称呼"


@pytest.mark.parametrize("language", ["en", "en-GB", "fr", "zha", ""])
def test_any_other_language_reads_english(language):
    assert message("name.required", language) == "Enter your name"


def test_numbers_are_plain_digits():
    text = message("message.too_long", "en", n=12345, max=5000)

    assert text == "Your message has 12345 characters. Shorten it to 5000 or fewer"


def test_a_country_is_named_in_the_language_of_the_sentence():
    assert message("phone.too_short", "en", country="GB").endswith("for United Kingdom")
    assert message("phone.too_short", "zh-Hans", country="GB") == "该号码位数少于英国号码的位数"


def test_a_country_nobody_knows_keeps_its_code():
    assert country_name("QQ", "en") == "QQ"


def test_a_name_in_two_languages_is_read_in_that_of_the_sentence():
    admissions = {"en": "Admissions", "zh-Hans": "招生办公室"}

    assert message("parent.cycle", "en", dept=admissions) == "Admissions cannot be inside itself"
    assert message("parent.cycle", "zh-Hans", dept=admissions) == "招生办公室不能隶属于自身"
    assert message("parent.cycle", "zh-Hans", dept={"en": "A"}) == "A不能隶属于自身"


@pytest.mark.parametrize(
    ("size", "shown"),
    [(1, "1 kB"), (640_000, "640 kB"), (5_000_000, "5 MB"), (6_540_000, "6.5 MB")],
)
def test_a_file_size_is_said_as_people_say_it(size, shown):
    text = message(
        "attachment.too_big", "en", file="cv.pdf", size=FileSize(size), max=FileSize(5_000_000)
    )

    assert text == f"“cv.pdf” is {shown}. The limit is 5 MB"


def test_characters_to_remove_can_be_found():
    english = message("email.bad_char", "en", chars=" (\u200b(")
    chinese = message("email.bad_char", "zh-Hans", chars=" (")

    assert english == "Remove the space “(” U+200B from the email address"
    assert chinese == "请删除电子邮箱中的 空格、“(”"


def test_what_a_visitor_typed_is_never_taken_for_a_placeholder():
    assert "{n} {0.x}" in message("email.bad_domain", "en", domain="{n} {0.x}")


def test_a_code_that_is_not_there_is_our_own_mistake():
    with pytest.raises(KeyError):
        message("name.nonsense", "en")
    with pytest.raises(KeyError):
        message("message.too_long", "en", n=3)


def test_a_refused_value_says_so_in_both_languages():
    refused = InvalidValue("email.bad_domain", domain="example")

    assert str(refused) == refused.text("en")
    assert refused.text("zh-Hans") == "请检查 @ 之后的部分：“example”不完整"


def test_every_refusal_in_the_code_has_its_sentence():
    package = Path(directory.__file__).parent
    named = {
        (node.args[0].value, path.name)
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "InvalidValue"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }

    assert len(named) > 20
    assert {found for found in named if found[0] not in MESSAGES} == set()
