"""Every bad input of the enquiry form gets its sentence, and loses nobody a word.

The sentences stand here in full, in both languages: they are published, word for word.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from directory.adapters.db import enquiries
from directory.domain.values import Reference
from directory.parts import Parts
from tests.builders import SetClock, parts_for, plant_office
from tests.web.conftest import client_of
from tests.web.pages import TYPED, Page, send, shown_form


class Bad(NamedTuple):
    code: str
    field: str
    typed: dict[str, str]
    en: str
    zh: str


LONG_TEXT = "字" * 5001
SHORTEN_100 = ("Shorten this to 100 characters or fewer", "请缩短至 100 字以内")
SHORTEN_120 = ("Shorten this to 120 characters or fewer", "请缩短至 120 字以内")
OPTION = ("Choose one of the options", "请选择列表中的选项")
INVISIBLE = ("Remove the invisible characters from this text", "请删除文本中的不可见字符")
BY_PHONE = {"reply_by": "phone"}

BAD = [
    Bad(
        "topic.required",
        "topic",
        {"topic": ""},
        "Choose what your enquiry is about",
        "请选择咨询事项",
    ),
    Bad(
        "topic.unknown",
        "topic",
        {"topic": "gone"},
        "That topic no longer exists. Choose another",
        "该事项已取消，请重新选择",
    ),
    Bad("message.required", "message", {"message": " \n "}, "Enter your message", "请填写咨询内容"),
    Bad(
        "message.too_long",
        "message",
        {"message": LONG_TEXT},
        "Your message has 5001 characters. Shorten it to 5000 or fewer",
        "咨询内容共 5001 字，请缩短至 5000 字以内",
    ),
    Bad("name.required", "name", {"name": " "}, "Enter your name", "请填写您的称呼"),
    Bad(
        "name.has_link",
        "name",
        {"name": "www.example.com"},
        "Enter your name without a web address",
        "称呼中不能包含网址",
    ),
    Bad(
        "name.has_link",
        "name",
        {"name": "me@example.com"},
        "Enter your name without a web address",
        "称呼中不能包含网址",
    ),
    Bad("name.too_long", "name", {"name": "n" * 101}, *SHORTEN_100),
    Bad("subject.too_long", "subject", {"subject": "s" * 121}, *SHORTEN_120),
    Bad("organisation.too_long", "organisation", {"organisation": "o" * 121}, *SHORTEN_120),
    Bad(
        "email.required",
        "email",
        {"email": ""},
        "Enter your email address, or choose another way to reply",
        "请填写电子邮箱，或选择其他回复方式",
    ),
    Bad(
        "email.no_at",
        "email",
        {"email": "liwei.example.com"},
        "Enter an email address with an @ sign, like name@example.com",
        "电子邮箱缺少 @ 符号，例如 name@example.com",
    ),
    Bad(
        "email.bad_domain",
        "email",
        {"email": "liwei@example"},
        "Check the part after the @ sign: “example” is not complete",
        "请检查 @ 之后的部分：“example”不完整",
    ),
    Bad(
        "email.bad_char",
        "email",
        {"email": "li wei@example.com"},
        "Remove the space from the email address",
        "请删除电子邮箱中的 空格",
    ),
    Bad(
        "email.smtputf8",
        "email",
        {"email": "李伟@example.com"},
        "We cannot yet send to addresses with non-Latin letters before the @. "
        "Enter another address",
        "暂不支持 @ 之前含非拉丁字符的邮箱，请填写其他邮箱",
    ),
    Bad(
        "email.two_addresses",
        "email",
        {"email": "a@example.com, b@example.com"},
        "Enter one email address",
        "请只填写一个电子邮箱",
    ),
    Bad(
        "email.too_long",
        "email",
        {"email": f"{'l' * 65}@example.com"},
        "This email address is too long",
        "电子邮箱过长",
    ),
    Bad(
        "phone.required",
        "phone",
        BY_PHONE | {"phone": "", "email": ""},
        "Enter a phone number, or choose a reply by email",
        "请填写电话号码，或选择邮件回复",
    ),
    Bad(
        "phone.letters",
        "phone",
        {"phone": "010-6255xxxx"},
        "Use digits only, like +44 20 7946 0123. Put an extension after “ext”",
        "电话号码只能使用数字，例如 0571-2882 3655，分机请写“转 808”",
    ),
    Bad(
        "phone.two_numbers",
        "phone",
        {"phone": "+44 20 7946 0123/24"},
        "Enter one phone number. “/” joins two",
        "请只填写一个电话号码，“/”表示两个号码",
    ),
    Bad(
        "phone.too_short",
        "phone",
        {"phone": "+44 20 7946 012"},
        "This number has too few digits for United Kingdom",
        "该号码位数少于英国号码的位数",
    ),
    Bad(
        "phone.too_long",
        "phone",
        {"phone": "+86 25 8345 5189 12345"},
        "This number has too many digits for China",
        "该号码位数多于中国号码的位数",
    ),
    Bad(
        "phone.invalid",
        "phone",
        {"phone": "+999 12345678"},
        "Enter a phone number with its country or area code, like +44 20 7946 0123",
        "请填写含国家或地区代码的电话号码，例如 +86 571 2882 3655",
    ),
    Bad("text.control", "message", {"message": "ring\x07me"}, *INVISIBLE),
    Bad("text.control", "name", {"name": "Li\x07Wei"}, *INVISIBLE),
    Bad("text.control", "name", {"name": "Li\r\nBcc: x"}, *INVISIBLE),
    Bad("text.control", "subject", {"subject": "a\x1bb"}, *INVISIBLE),
    Bad("text.control", "organisation", {"organisation": "a\nb"}, *INVISIBLE),
    Bad("choice.unknown", "reply_by", {"reply_by": "pigeon"}, *OPTION),
    Bad("choice.unknown", "reply_language", {"reply_language": "fr"}, *OPTION),
    Bad("choice.unknown", "country", {"country": "XX"}, *OPTION),
    Bad("choice.unknown", "department", {"department": "gone"}, *OPTION),
]

# Choices that are not offered cannot be shown as chosen.
NOT_SHOWN = {("topic.unknown", "topic")} | {
    ("choice.unknown", field) for field in ("reply_by", "reply_language", "country", "department")
}


@pytest.fixture(scope="module", params=["en", "zh-hans"])
def lang(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def quick(
    _sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FlaskClient]:
    """One browser for all forms that are refused: those leave nothing behind."""
    folder = tmp_path_factory.mktemp("refused")
    shutil.copyfile(_sqlite_template, folder / "directory.db")
    parts = parts_for(
        folder, f"sqlite:///{folder}/directory.db", SetClock(), enquiry={"refuse_per_hour": 0}
    )
    with parts.db.writing() as session:
        plant_office(session)
    yield client_of(parts)
    parts.let_go()


def kept(page: Page, typed: dict[str, str], without: set[str]) -> None:
    """Everything typed is still in the form, right and wrong."""
    shown = page.values()
    for name, value in typed.items():
        if name not in without:
            # A text area and a browser agree on "\n"; one line has none.
            wanted = value.replace("\r\n", "\n")
            assert shown[name].replace("\r\n", "\n") == wanted, name


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad.code}-{bad.field}")
def test_a_bad_input_gets_its_sentence_where_it_is_and_everything_typed_stays(quick, lang, bad):
    typed = TYPED | bad.typed
    if bad.code == "topic.required":
        typed |= {"department": ""}

    page = Page(send(quick, lang, **typed))

    sentence = bad.en if lang == "en" else bad.zh
    assert page.status == 422
    assert page.title.startswith("Error: " if lang == "en" else "错误：")
    # At the top, as a link to its field …
    summary = page.one("#error-summary")
    assert (summary.attributes["role"], summary.attributes["tabindex"]) == ("alert", "-1")
    assert page.errors == [(f"f-{bad.field}", sentence)]
    # … and at the field, tied to it.
    assert " ".join(page.one(f"#f-{bad.field}-error").text().split()) == sentence
    tied = page.all(f'[aria-describedby~="f-{bad.field}-error"]')
    assert [node.attributes.get("aria-invalid") for node in tied] == ["true"]
    assert page.one(f"#f-{bad.field}")
    assert page.one("html").attributes["lang"] == ("en" if lang == "en" else "zh-Hans")
    without = {bad.field} if (bad.code, bad.field) in NOT_SHOWN else set()
    kept(page, typed, without)


def test_all_errors_are_told_at_once_in_the_order_of_the_form(quick):
    page = Page(
        send(
            quick,
            topic="gone",
            message="",
            subject="s" * 121,
            name="",
            email="x",
            phone="x",
            organisation="o" * 121,
        )
    )

    order = ["topic", "message", "subject", "name", "email", "phone", "organisation"]
    assert [field for field, _ in page.errors] == [f"f-{name}" for name in order]
    assert "7 details need attention" in page.one("#error-summary").text()
    seen = [node.attributes.get("id") for node in page.all("[id$='-error']")]
    assert seen == [f"f-{name}-error" for name in order]


def test_what_was_typed_comes_back_unharmed_whatever_it_is(quick):
    odd = {
        "message": "</textarea><script>alert(1)</script>\n\n  &amp; “”",
        "subject": '"><img src=x onerror=alert(1)>',
        "organisation": "{{ 7*7 }} {% raw %}",
        "name": "",
    }

    page = Page(send(quick, **odd))

    kept(page, odd, set())
    assert page.all("form#enquiry script, form#enquiry img") == []
    assert "49" not in page.values()["organisation"]


def test_a_message_of_the_last_length_allowed_is_taken(quick):
    assert send(quick, message="字" * 5000).status_code == 303


@pytest.mark.parametrize(
    "changes",
    [
        {"reply_by": "phone", "email": ""},
        {"reply_by": "none", "email": "", "phone": ""},
        {"phone": "", "country": ""},
        {"subject": "", "organisation": ""},
        {"topic": "", "department": "media"},
        {"topic": "permits", "department": "media"},
        {"reply_language": "any"},
        {"reply_by": ""},
        {"phone": "+44 20 7946 0123 ext 12"},
        {"phone": "０２５－８３４５５１８９ 转 808"},
        {"email": " LiWei@Example.COM "},
        {"email": "liwei＠example．com"},
        {"email": "someone@qq.com"},
        {"name": "李伟"},
        {"message": "\r\nfirst line\r\n"},
    ],
    ids=str,
)
def test_what_is_right_is_taken(quick, changes):
    assert send(quick, **changes).status_code == 303


# The whole form


def stored(parts: Parts) -> int:
    with parts.db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(enquiries)) or 0


ALREADY_SENT = {
    "en": "You already sent this form as {ref}. "
    "To send the changed text as a new enquiry, press Send again",
    "zh-hans": "该表单已提交（{ref}）。如需将修改后的内容作为新咨询提交，请再次点击发送",
}
EXPIRED = {
    "en": "This page was open for more than 24 hours. Nothing was lost: "
    "check your answers and send again",
    "zh-hans": "页面打开已超过 24 小时，内容未丢失，请核对后重新提交",
}
RATE_LIMITED = {
    "en": "You have sent 2 enquiries in an hour. You can send another at 13:00 (Shanghai, UTC+8), "
    "or ring +86 25 0345 5100",
    "zh-hans": "您一小时内已提交 2 次，13:00（上海时间，UTC+8） 后可再次提交，"
    "或致电 +86 25 0345 5100",
}


def test_a_form_sent_again_with_other_words_says_so_and_the_next_press_sends_it(office, lang):
    client = client_of(office)
    fields = shown_form(client, lang) | TYPED
    first = client.post(f"/{lang}/enquiries", data=fields)
    changed = fields | {"message": "Something else"}

    page = Page(client.post(f"/{lang}/enquiries", data=changed))

    ref = Reference.parse(first.location.split("/e/")[1][:8]).display("ENQ")
    assert page.status == 422
    assert page.title.startswith("Error: " if lang == "en" else "错误：")
    assert page.errors == [("", ALREADY_SENT[lang].format(ref=ref))]
    kept(page, TYPED | {"message": "Something else"}, set())
    assert page.values()["form_token"] != fields["form_token"]
    again = client.post(f"/{lang}/enquiries", data=page.values())
    assert (again.status_code, stored(office)) == (303, 2)
    assert again.location != first.location


@pytest.mark.parametrize("how", ["expired", "forged", "missing"])
def test_a_form_open_for_longer_than_a_day_keeps_the_text_and_the_next_press_sends_it(
    quick_office, clock, lang, how
):
    client = client_of(quick_office)
    fields = shown_form(client, lang) | TYPED
    if how == "expired":
        clock.advance(hours=24, seconds=1)
    elif how == "forged":
        fields["form_token"] = fields["form_token"][:-2] + "xx"
    else:
        del fields["form_token"]

    page = Page(client.post(f"/{lang}/enquiries", data=fields))

    assert page.status == 422
    assert page.errors == [("", EXPIRED[lang])]
    assert page.title.startswith("Error: " if lang == "en" else "错误：")
    kept(page, TYPED, set())
    assert stored(quick_office) == 0
    assert client.post(f"/{lang}/enquiries", data=page.values()).status_code == 303


def test_a_form_is_good_for_a_whole_day(quick_office, clock):
    client = client_of(quick_office)
    fields = shown_form(client) | TYPED
    clock.advance(hours=24)

    assert client.post("/en/enquiries", data=fields).status_code == 303


def test_too_many_from_one_network_are_told_when_and_whom_to_ring(
    database_url: str, tmp_path: Any, clock: Any, office: Parts, lang: str
) -> None:
    strict = parts_for(tmp_path, database_url, clock, enquiry={"refuse_per_hour": 2})
    client = client_of(strict)
    for _ in range(2):
        assert send(client, lang).status_code == 303

    response = send(client, lang)

    page = Page(response)
    assert (page.status, stored(strict)) == (429, 2)
    assert page.errors == [("", RATE_LIMITED[lang])]
    assert response.headers["Retry-After"] == "3600"
    kept(page, TYPED, set())
    # A form that could not be read at all was never counted, and is not.
    assert send(client, lang, message="").status_code == 422
    clock.advance(hours=1)
    assert client.post(f"/{lang}/enquiries", data=page.values()).status_code == 303
    strict.let_go()


def test_a_box_is_asked_for_only_where_the_settings_want_one(tmp_path, sqlite_url, clock, lang):
    asking = parts_for(tmp_path, sqlite_url, clock, privacy={"consent": "checkbox"})
    with asking.db.writing() as session:
        plant_office(session)
    client = client_of(asking)
    assert (
        "checked"
        not in Page(client.get(f"/{lang}/enquiries/new?topic=permits")).one("#f-consent").attributes
    )

    page = Page(send(client, lang))

    sentence = {
        "en": "Tick the box to agree that we use your details to answer you",
        "zh-hans": "请勾选同意我们使用您的信息以便答复",
    }[lang]
    assert page.errors == [("f-consent", sentence)]
    kept(page, TYPED, set())
    assert send(client, lang, consent="yes").status_code == 303
    with asking.db.reading() as session:
        assert session.scalars(sa.select(enquiries.c.consent)).all() == ["checkbox 1"]
    asking.let_go()


def test_leaving_a_country_is_asked_about_where_the_settings_say_so(
    tmp_path, sqlite_url, clock, lang
):
    asking = parts_for(
        tmp_path, sqlite_url, clock, privacy={"transfer_consent": [{"from": "GB", "to": "CN"}]}
    )
    with asking.db.writing() as session:
        plant_office(session)
    client = client_of(asking)

    page = Page(send(client, lang, country="GB"))

    sentence = {
        "en": "Tick the box to agree that Parking in China receives them, or change the department",
        "zh-hans": "请勾选同意将信息提供给位于中国的Parking处，或更改部门",
    }[lang]
    assert page.errors == [("f-consent_transfer", sentence)]
    assert page.one("#f-consent_transfer").attributes["type"] == "checkbox"
    kept(page, TYPED, {"country"})
    assert send(client, lang, country="CN").status_code == 303
    assert send(client, lang, country="GB", consent_transfer="yes").status_code == 303
    with asking.db.reading() as session:
        agreed = session.scalars(sa.select(enquiries.c.consent)).all()
    assert sorted(agreed) == ["notice 1", "notice 1, transfer CN 1"]
    asking.let_go()


def test_a_number_with_many_blanks_is_kept_without_them(office):
    typed = "+44 20 7946" + " " * 60 + "0123"

    assert send(client_of(office), phone=typed).status_code == 303

    with office.db.reading() as session:
        assert session.scalars(sa.select(enquiries.c.phone_typed)).all() == ["+44 20 7946 0123"]


def test_a_number_typed_longer_than_can_be_kept_is_kept_as_it_is_read(office):
    assert send(client_of(office), phone="+44" + "-" * 50 + "2079460123").status_code == 303

    with office.db.reading() as session:
        [kept_as] = session.scalars(sa.select(enquiries.c.phone_typed))
    assert kept_as == "+44 20 7946 0123"
