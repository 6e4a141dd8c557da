"""What a reader, a mail program and a mail server find in our messages."""

from __future__ import annotations

import json
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from directory.adapters.compose import compose, in_columns, name_for_from, shortened
from directory.domain.delivery import Delivery
from directory.domain.wrap import columns
from tests.adapters.mails import (
    a_copy,
    a_link,
    a_moved_delivery,
    a_note,
    a_routed_delivery,
    an_acknowledgement,
)

CHINESE = {
    "service_name": "江苏产研院",
    "department_name": "招生办公室",
    "topic_label": "申请入学",
    "place": "新加坡",
}
LONG_HOST = "a-host-name-that-has-as-many-as-sixty-characters.example.org"


class Reader(HTMLParser):
    """What a mail program would show of an HTML part, and what it would act on."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.links: list[str] = []
        self.attributes: list[str] = []
        self.tags: list[str] = []
        self.quoted: list[str] = []
        self._within: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self._within.append(tag)
        elif tag == "br":
            self.handle_data("\n")
        self.attributes += [name for name, _ in attrs]
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag):
        assert self._within.pop() == tag

    def handle_data(self, data):
        if "blockquote" in self._within:
            self.quoted.append(data.replace("\n", "") or "\n")
        if "style" not in self._within:
            self.shown.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.shown).split())


def read(delivery: Delivery) -> EmailMessage:
    """The message as its receiver reads it; well formed, or the test fails."""
    data = compose(delivery)
    assert data.isascii()
    assert data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n")
    assert data.endswith(b"\r\n")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert part.defects == []
    for name in ("From", "To", "Date", "Message-ID", "Subject", "Auto-Submitted"):
        assert len(message.get_all(name)) == 1
        assert message[name].defects == ()
    return message


def text_of(message: EmailMessage) -> str:
    return message.get_body(("plain",)).get_content().replace("\r\n", "\n")


def html_of(message: EmailMessage) -> str:
    return message.get_body(("html",)).get_content().replace("\r\n", "\n")


# The mail to the department


def test_a_department_reads_what_to_do_first():
    message = read(a_routed_delivery())

    assert text_of(message) == (
        "Reply to this mail: your answer goes to Li Wei <liwei@example.com>.\n"
        "Please answer by Tue 24 Nov 2026, 17:30 (Singapore, UTC+8).\n"
        "\n"
        "--- Written by a visitor, not checked by us ---\n"
        "| Can I send my transcript as a PDF?\n"
        "--- end ---\n"
        "Name   Li Wei          Phone  +44 20 7946 0123\n"
        "Wants  email, English  Sent   Sun 22 Nov 2026, 14:05 (Singapore, UTC+8)\n"
        "\n"
        "Why you: rule 3 “Applications” (topic is Apply to study).\n"
        "Personal details leave the service 12 months after closing; please delete this\n"
        "mail then.\n"
    )


def test_a_department_reads_its_own_language():
    text = text_of(read(a_routed_delivery("zh-Hans", **CHINESE)))

    assert text.startswith("请直接回复本邮件，您的答复将发送给 Li Wei <liwei@example.com>。\n")
    assert "请于 2026年11月24日（周二）17:30（新加坡时间，UTC+8）前回复。" in text
    assert "| Can I send my transcript as a PDF?" in text


def test_the_header_of_a_routed_mail_is_as_promised():
    message = read(a_routed_delivery())

    assert dict(message.items()) == {
        "From": "Li Wei via Institute Contact <contact@institute.example>",
        "To": "Admissions Office <admissions@institute.example>",
        "Reply-To": "Li Wei <liwei@example.com>",
        "Subject": "[ENQ-7K4M-2QXD] Apply to study: transcript format",
        "Date": "Sun, 22 Nov 2026 14:05:00 +0800",
        "Message-ID": "<7K4M2QXD.1@contact.institute.example>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "List-Id": '"Admissions Office" <admissions.contact.institute.example>',
        "X-Enquiry-Ref": "ENQ-7K4M-2QXD",
        "X-Enquiry-Kind": "routed",
        "X-Enquiry-Department": "admissions",
        "X-Enquiry-Topic": "apply",
        "X-Enquiry-Rule": "applications",
        "Content-Language": "en",
        "MIME-Version": "1.0",
        "Content-Type": message["Content-Type"],
    }


def test_tokens_are_neither_encoded_nor_broken_however_long_the_host():
    delivery = a_routed_delivery(list_domain=LONG_HOST, department_name="招生办公室")
    delivery.message_id = f"<7K4M2QXD.1@{LONG_HOST}>"
    head = compose(delivery).partition(b"\r\n\r\n")[0].decode()

    assert f"\r\nMessage-ID: <7K4M2QXD.1@{LONG_HOST}>\r\n" in head
    assert f" <admissions.{LONG_HOST}>\r\n" in head


@pytest.mark.parametrize(
    ("inputs", "subject"),
    [
        ({"subject": ""}, "[ENQ-7K4M-2QXD] Apply to study: Can I send my transcript as a PDF?"),
        ({"topic_label": ""}, "[ENQ-7K4M-2QXD] transcript format"),
        (
            {"subject": "", "message": "One line\nand two,  which is " + "long " * 20},
            "[ENQ-7K4M-2QXD] Apply to study: "
            "One line and two, which is long long long long long long…",
        ),
        (
            {"reply_by": "phone", "email": ""},
            "[ENQ-7K4M-2QXD · ring] Apply to study: transcript format",
        ),
    ],
)
def test_a_subject_tells_what_it_is_about(inputs, subject):
    assert read(a_routed_delivery(**inputs))["Subject"] == subject


def test_a_chinese_subject_has_chinese_punctuation():
    message = read(a_routed_delivery("zh-Hans", **CHINESE, subject="成绩单"))

    assert message["Subject"] == "[ENQ-7K4M-2QXD] 申请入学：成绩单"


@pytest.mark.parametrize(
    ("inputs", "line"),
    [
        (
            {"reply_by": "phone", "email": ""},
            "Do not reply to this mail: ring Li Wei, +44 20 7946 0123.",
        ),
        (
            {"reply_by": "phone"},
            "Ring Li Wei, +44 20 7946 0123. A reply to this mail goes to liwei@example.com.",
        ),
        ({"reply_by": "none"}, "No answer is wanted."),
        ({"reply_by": "none", "email": "", "phone": ""}, "No answer is wanted."),
    ],
)
def test_the_first_line_says_how_to_answer(inputs, line):
    message = read(a_routed_delivery(**inputs))

    assert " ".join(text_of(message).split()).startswith(line)
    assert line in Reader(html_of(message)).text


def test_nobody_is_asked_by_when_to_answer_who_need_not():
    message = read(a_routed_delivery(reply_by="none"))

    assert "Please answer by" not in text_of(message)
    assert "Please answer by" not in Reader(html_of(message)).text


@pytest.mark.parametrize(
    ("chosen_by", "line"),
    [
        ({"reason": "department"}, "Why you: the visitor chose your department."),
        ({"reason": "topic"}, "Why you: your department answers “Apply to study”."),
        (
            {"reason": "fallback"},
            "Why you: nobody else was named for it, so it comes to the desk.",
        ),
    ],
)
def test_a_department_reads_why_it_was_chosen(chosen_by, line):
    message = read(a_routed_delivery(chosen_by=chosen_by))

    assert line in text_of(message)
    assert line in Reader(html_of(message)).text
    assert message["X-Enquiry-Rule"] == chosen_by["reason"]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (365, "12 months"),
        (730, "24 months"),
        (90, "3 months"),
        (30, "1 month"),
        (45, "45 days"),
        (1, "1 day"),
    ],
)
def test_a_department_reads_when_to_delete_the_mail(days, words):
    text = " ".join(text_of(read(a_routed_delivery(retention_days=days))).split())

    assert f"Personal details leave the service {words} after closing;" in text


def test_without_a_deadline_none_is_named():
    message = read(a_routed_delivery(answer_by=None))

    assert "Please answer by" not in text_of(message)
    assert "Please answer by" not in html_of(message)


def test_the_visitors_address_is_in_reply_to_and_nowhere_in_the_envelope():
    delivery = a_routed_delivery()
    message = read(delivery)

    assert "liwei" not in message["From"] + delivery.envelope_sender
    assert message["Sender"] is None


def test_the_service_can_speak_in_its_own_name_alone():
    message = read(a_routed_delivery(from_style="service"))

    assert message["From"] == "Institute Contact <contact@institute.example>"


def test_long_facts_stand_one_a_line():
    text = text_of(read(a_routed_delivery(organisation="Institute of " + "Very " * 12 + "Long")))

    assert "\nName          Li Wei\nPhone         +44 20 7946 0123\nWants" in text
    assert all(columns(line) <= 78 for line in text.split("\n"))


# Both parts


def everything(language: str = "en") -> list[Delivery]:
    more = CHINESE if language == "zh-Hans" else {}
    return [
        a_routed_delivery(language, **more),
        an_acknowledgement(language, **more),
        a_copy(language, tags=["press"], **more),
        a_moved_delivery(language, meant_for="Media Office"),
        a_moved_delivery(language, by="", note="", to_desk=True),
        a_routed_delivery(language, added=[{"at": "2026-11-22T07:00:00+00:00", "message": "PS"}]),
        *(a_note(what, language) for what in ("added", "withdrawn", "address", "erased")),
        *(a_link(what, language) for what in ("status", "export", "erase")),
    ]


# Copies and moves


def test_who_only_shall_know_reads_who_answers_and_is_asked_for_nothing():
    message = read(a_copy(tags=["press", "vip"]))
    text = text_of(message)

    assert text.startswith(
        "Copy for information: Admissions Office answers.\n"
        "A reply to this mail goes to Li Wei <liwei@example.com>.\n\n"
    )
    assert "Please answer" not in text
    assert "Why you: rule 3 “Applications” (topic is Apply to study) has a copy sent" in text
    assert "Tags   press, vip" in text
    assert message["Subject"] == "[ENQ-7K4M-2QXD · copy] Apply to study: transcript format"
    assert message["Reply-To"] == "Li Wei <liwei@example.com>"
    assert (message["X-Enquiry-Kind"], message["X-Enquiry-Tags"]) == ("copy", "press, vip")
    assert message["X-Enquiry-Department"] == "admissions"
    assert message["List-Id"] == '"Media Office" <media.contact.institute.example>'


def test_a_copy_of_what_wants_a_call_or_nothing_asks_for_neither():
    for reply_by in ("phone", "none"):
        text = text_of(read(a_copy(reply_by=reply_by, email="")))
        assert text.split("\n")[:2] == ["Copy for information: Admissions Office answers.", ""]


def test_a_chinese_copy_says_the_same():
    text = text_of(read(a_copy("zh-Hans", answering="招生办公室", tags=["媒体", "来访"])))

    assert text.startswith("抄送供知悉：由招生办公室负责答复。\n直接回复本邮件，将发送给Li Wei <")
    assert "标签      媒体、来访" in text and "抄送原因：规则 3“Applications”" in text


def test_the_next_reader_is_told_by_whom_with_which_words_and_where_it_was():
    message = read(a_moved_delivery())

    assert (
        "\n\nPassed on to you by Parking (chen@institute.example), who wrote:\n"
        "| The visitor asks about a transcript,\n"
        "| not about parking.\n"
        "Before that it was with Media Office.\n\n"
    ) in text_of(message)
    assert "Why you: a person passed it on; no rule did." in text_of(message)
    assert message["Subject"] == "[ENQ-7K4M-2QXD] Apply to study: transcript format"
    assert message["X-Enquiry-Rule"] == "moved"


def test_a_moved_enquiry_stays_in_its_thread():
    raw = compose(a_moved_delivery()).decode()
    message = read(a_moved_delivery())

    first, second = (f"<7K4M2QXD.{n}@contact.institute.example>" for n in (1, 3))
    assert message["Message-ID"] == "<7K4M2QXD.4@contact.institute.example>"
    assert message["In-Reply-To"] == second
    assert message["References"].split() == [first, second]
    assert f"\r\nReferences: {first}\r\n {second}\r\n" in raw


@pytest.mark.parametrize(
    ("passed_on", "sentences"),
    [
        ({"note": ""}, "Passed on to you by Parking (chen@institute.example)."),
        ({"by": ""}, "Passed on to you by Parking, with these words:"),
        ({"by": "", "note": ""}, "Passed on to you by Parking."),
        (
            {"meant_for": "Library"},
            "It was meant for Library, which has no mailbox that takes mail now.",
        ),
        (
            {"meant_for": "Library", "to_desk": True},
            "It was meant for Library. After two moves it comes to the desk, which finds out who "
            "answers.",
        ),
        ({"to_desk": True}, "After two moves it comes to the desk, which finds out who answers."),
    ],
)
def test_the_next_reader_is_told_why_it_came_to_them(passed_on, sentences):
    text = " ".join(text_of(read(a_moved_delivery(**passed_on))).split())

    assert sentences in text


def test_a_note_to_the_next_reader_is_text_and_nothing_else():
    html = html_of(read(a_moved_delivery(note='<a href="https://x.example">Take it</a>')))

    assert "https://x.example" not in Reader(html).links
    assert "&lt;a href=" in html


def test_who_covers_for_another_is_told_for_whom():
    text = text_of(read(a_routed_delivery(chosen_by={"reason": "topic"}, covers_for="Parking")))

    assert "Why you: it is for Parking, which cannot take mail now." in text


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
def test_both_parts_say_the_same(language):
    for delivery in everything(language):
        message = read(delivery)
        html = Reader(html_of(message)).text
        for line in text_of(message).split("\n"):
            # Those of the second column too; what only the text has is named below.
            for words in re.split(r"\s{2,}|^\| |--- ", line):
                words = words.strip(" -")
                if words not in ("email, English", "邮件，英文", "end", "内容结束"):
                    assert words in html


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
def test_html_loads_nothing_and_stays_small(language):
    for delivery in everything(language):
        html = html_of(read(delivery))
        page = Reader(html)

        assert len(html.encode()) < 30_000
        assert html.startswith("<!doctype html>")
        assert f'<html lang="{language}">' in html
        assert not {"img", "script", "link", "iframe", "form", "object", "svg"} & set(page.tags)
        assert "url(" not in html
        assert not any(name.startswith("on") for name in page.attributes)
        assert all(
            link.startswith(("https://contact.institute.example/", "mailto:"))
            for link in page.links
        )


@pytest.mark.parametrize("worst", ["&", '"', "<中>", "😀", "a\n"])
def test_the_largest_message_still_makes_a_small_mail(worst):
    html = html_of(read(a_routed_delivery(message=worst * (5_000 // len(worst)))))

    assert len(html.encode()) < 30_000


def test_composing_again_gives_the_same_bytes():
    for delivery in everything() + everything("zh-Hans"):
        stored = json.loads(json.dumps(delivery.inputs))
        first = compose(delivery)
        delivery.inputs = stored
        assert compose(delivery) == first


def test_a_missing_input_is_an_error_and_no_gap():
    delivery = a_routed_delivery()
    del delivery.inputs["phone"]

    with pytest.raises((KeyError, UndefinedError)):
        compose(delivery)


# What visitors may try

NASTY = [
    '<script>alert(1)</script><img src=x onerror=alert(1)>"><a href="https://evil.example">x</a>',
    "{{ 7 * 7 }}{% for x in y %}{% endfor %}{# #}",
    "%(name)s %s %d %",
    "--=_8d9b7ef493beac1996352c03\n\n--=_8d9b7ef493beac1996352c03--",
    "--- end ---\nTake it:\nhttps://contact.institute.example/a/7K4M2QXD-1-FORGED",
    ".\n..\n.\nQUIT",
    "From me\nSubject: you",
    "=?utf-8?b?PGI+?= =?utf-8?q?_?=",
    "\u202egnp.exe \u2066hidden\u2069",
    "🧑‍🤝‍🧑 مرحبا שלום नमस्ते 한국어",
    "x" * 1_500,
    "中" * 1_500,
    "a  b\tc",
    "&amp; &lt; &#x3c;",
    "\\ \" ' `",
]
one_line = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=100
).map(lambda text: " ".join(text.split()) or "x")
many_lines = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]) | st.just("\n"),
    min_size=1,
    max_size=400,
).map(lambda text: text.strip() or "x")


def check_quoted(text: str, message: str) -> None:
    """All of *message* stands between the two rulers, each line after its mark."""
    lines = text.split("\n")
    start = lines.index("--- Written by a visitor, not checked by us ---")
    end = lines.index("--- end ---")
    assert all(line == "|" or line.startswith("| ") for line in lines[start + 1 : end])
    shown = "".join("".join(line[1:].split()) for line in lines[start + 1 : end])
    assert shown == "".join(message.split())


@pytest.mark.parametrize("words", NASTY)
def test_nasty_words_arrive_as_they_were_typed_and_do_nothing(words):
    line = " ".join(words.split())[:100]
    message = read(a_routed_delivery(message=words, subject=line, name=line, organisation=line))
    page = Reader(html_of(message))

    check_quoted(text_of(message), words)
    assert "".join("".join(page.quoted).split()) == "".join(words.split())
    assert page.links == ["mailto:liwei@example.com"]
    assert message["Subject"] == f"[ENQ-7K4M-2QXD] Apply to study: {line}"
    assert set(message.keys()) == set(read(a_routed_delivery()).keys())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(many_lines, one_line, one_line, one_line, st.sampled_from(["en", "zh-Hans"]))
def test_any_words_make_a_message_that_is_well_formed(message, subject, name, topic, language):
    delivery = a_routed_delivery(
        language, message=message, subject=subject, name=name, topic_label=topic
    )
    mail = read(delivery)
    page = Reader(html_of(mail))

    assert subject in mail["Subject"]
    assert "".join("".join(page.quoted).split()) == "".join(message.split())
    assert page.links == ["mailto:liwei@example.com"]
    assert [each.addr_spec for each in mail["From"].addresses] == ["contact@institute.example"]
    assert [each.addr_spec for each in mail["Reply-To"].addresses] == ["liwei@example.com"]


def test_an_address_with_odd_signs_is_a_link_to_itself():
    message = read(a_routed_delivery(email="o'neil+a&b=c?d%e@example.com"))
    [link] = Reader(html_of(message)).links

    assert link == "mailto:o%27neil%2Ba%26b%3Dc%3Fd%25e@example.com"


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Li Wei", "Li Wei"),
        ("李伟", "李伟"),
        ('"Support" <help@bank.example>', "Support help bank. example"),
        ("see https://evil.example now", "see now"),
        ("www.evil.example", ""),
        ("bank.example", "bank. example"),
        ("J.R. Smith", "J.R. Smith"),
        ("Li\u202eieW", "Li ieW"),
        ("a\r\nBcc: b", "a Bcc: b"),
        ("A" * 60, "A" * 40),
        ("می‌خواهم", "می‌خواهم"),
        ("\u200b\u2060", ""),
    ],
)
def test_a_name_in_from_can_pretend_nothing(typed, shown):
    assert name_for_from(typed) == shown


@given(st.text(max_size=120))
def test_any_name_in_from_is_short_and_holds_no_address(typed):
    shown = name_for_from(typed)

    assert len(shown) <= 40
    assert not set(shown) & set('@<>"\r\n\x00\u202e')
    assert "://" not in shown


def test_a_name_of_nothing_but_tricks_leaves_the_service_alone():
    message = read(a_routed_delivery(name="@@@"))

    assert message["From"] == "Institute Contact <contact@institute.example>"


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("short", 60, "short"),
        ("one two three four", 12, "one two…"),
        ("无空格的中文句子会在哪里断开", 8, "无空格的中文句…"),
        ("a\n\nb", 60, "a b"),
    ],
)
def test_a_long_text_is_cut_between_words(text, limit, cut):
    assert shortened(text, limit) == cut
    assert len(cut) <= limit


def test_facts_line_up_in_either_script():
    assert in_columns([("称呼", "李伟"), ("电话", "1"), ("期望", "邮件")]) == (
        "称呼  李伟  电话  1\n期望  邮件"
    )


# The receipt


def test_a_visitor_reads_the_reference_and_the_way_to_it():
    assert text_of(read(an_acknowledgement())) == (
        "We received your enquiry.\n"
        "\n"
        "Reference  ENQ-7K4M-2QXD\n"
        "About      Apply to study\n"
        "Goes to    Admissions Office\n"
        "Phone      +44 20 7946 0456\n"
        "Answer by  Tue 24 Nov 2026, 17:30 (Singapore, UTC+8)\n"
        "\n"
        "See how it stands:\n"
        "https://contact.institute.example/e/7K4M2QXD-3K9T6W2RZ8QH4N7VB5XJ0CDPGM1\n"
        "\n"
        "If you hear nothing by then, ring +44 20 7946 0456 and quote the reference.\n"
        "If this was not you, ignore this mail: somebody mistyped an address.\n"
        "To have it deleted:\n"
        "https://contact.institute.example/e/7K4M2QXD-3K9T6W2RZ8QH4N7VB5XJ0CDPGM1?do=erase\n"
        "\n"
        "Institute Contact\n"
    )


def test_the_header_of_a_receipt_is_as_promised():
    message = read(an_acknowledgement())

    assert dict(message.items()) == {
        "From": "Institute Contact <contact@institute.example>",
        "To": "liwei@example.com",
        "Reply-To": "Admissions Office <hello@institute.example>",
        "Subject": "We received your enquiry [ENQ-7K4M-2QXD]",
        "Date": "Sun, 22 Nov 2026 14:05:00 +0800",
        "Message-ID": "<7K4M2QXD.2@contact.institute.example>",
        "Auto-Submitted": "auto-replied",
        "X-Auto-Response-Suppress": "All",
        "X-Enquiry-Ref": "ENQ-7K4M-2QXD",
        "X-Enquiry-Kind": "acknowledgement",
        "Content-Language": "en",
        "MIME-Version": "1.0",
        "Content-Type": message["Content-Type"],
    }


def test_a_chinese_visitor_reads_chinese():
    message = read(an_acknowledgement("zh-Hans", **CHINESE))

    assert message["Subject"] == "已收到您的咨询 [ENQ-7K4M-2QXD]"
    assert "答复期限  2026年11月24日（周二）17:30（新加坡时间，UTC+8）" in text_of(message)


def test_a_receipt_does_without_what_is_not_known():
    message = read(an_acknowledgement(department_phone="", answer_by=None, topic_label=""))

    assert text_of(message).startswith(
        "We received your enquiry.\n\nReference  ENQ-7K4M-2QXD\nGoes to    Admissions Office\n\nSee"
    )


def test_a_receipt_knows_nothing_the_visitor_typed():
    inputs = an_acknowledgement().inputs

    assert not {"name", "message", "subject", "organisation", "phone"} & inputs.keys()
    # And one given by mistake would not be shown.
    typed = dict.fromkeys(("name", "message", "subject", "organisation", "phone"), "BUY NOW")
    assert compose(an_acknowledgement(**typed)) == compose(an_acknowledgement())
