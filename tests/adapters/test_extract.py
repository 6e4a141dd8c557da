from __future__ import annotations

import time
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.adapters.extract import extract
from tests.adapters.extract_corpus import Case, cases, found_values, score

# A report on a visit as institutes publish them: much text, and at its end how to reach them.
A_REPORT = """\
Delegation from Singapore visits the institute

Some seventy guests from universities, banks and public bodies came to the 12th meeting in
Nanjing on 23 April 2019. They saw 3 of our 8 laboratories; the budget of 2,500,000 yuan for
2019-2020 was signed at 16:30.

Contact us

  • Address : No. 699 Xuanwu Avenue, Nanjing, China
  • Telephone : +86-25-83455189
  • Fax : +86-25-83455109
  • Email : rdd@jitri.org
Back to top
"""


def found(text: str, region: str = "GB", **more) -> list[list[str]]:
    return found_values(extract(text, region=region, **more))


def test_a_page_of_text_has_one_record_with_everything_in_it():
    (contact,) = extract(A_REPORT, region="CN").to_json()["contacts"]

    assert contact == {
        "name": None,
        "phones": [
            {
                "e164": "+862583455189",
                "extension": "",
                "kind": "voice",
                "published": "+86-25-83455189",
                "verdict": "valid",
            },
            {
                "e164": "+862583455109",
                "extension": "",
                "kind": "fax",
                "published": "+86-25-83455109",
                "verdict": "valid",
            },
        ],
        "emails": ["rdd@jitri.org"],
        "addresses": [{"text": "No. 699 Xuanwu Avenue, Nanjing, China", "country": "CN"}],
        "languages": [],
        "evidence": contact["evidence"],
    }
    assert [A_REPORT[start:end] for start, end in contact["evidence"]] == [
        "+86-25-83455189",
        "+86-25-83455109",
        "rdd@jitri.org",
        "No. 699 Xuanwu Avenue, Nanjing, China",
    ]


# ------------------------------------------------------------------ the corpus


def test_the_corpus_is_varied():
    every = cases()
    assert len(every) > 200
    assert len({case.region for case in every}) > 60


@pytest.mark.parametrize("held_out", [False, True], ids=["tuned", "held out"])
def test_the_corpus_is_read_as_well_as_promised(held_out):
    result = score(case for case in cases() if case.held_out is held_out)

    assert result.tallies["phones"].f1 >= 0.95
    assert result.tallies["faxes"].f1 >= 0.95
    assert result.tallies["mails"].f1 >= 0.97
    assert result.tallies["pairs"].f1 >= 0.75
    assert result.roles[True] / result.roles.total() >= 0.97
    assert result.whole[True] / result.whole.total() >= 0.88


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_evidence_points_into_the_input(case: Case):
    for contact in extract(case.text, region=case.region, format=case.format).contacts:
        for phone in contact.phones:
            assert 0 <= phone.evidence[0] < phone.evidence[1] <= len(case.text)
            if case.format == "text":
                stands = case.text[slice(*phone.evidence)]
                assert phone.published == stands.strip()


# ------------------------------------------------------------------ numbers in company


@pytest.mark.parametrize(
    ("text", "region", "values"),
    [
        ("Tel/Fax: 020 7946 0123", "GB", ["voice:+442079460123", "fax:+442079460123"]),
        ("电话：025-83455189/90", "CN", ["voice:+862583455189", "voice:+862583455190"]),
        (
            "电话：025-83455189~91",
            "CN",
            ["voice:+862583455189", "voice:+862583455190", "voice:+862583455191"],
        ),
        (
            "Tel. (025) 8345 5189, 8345 5109",
            "CN",
            ["voice:+862583455189", "voice:+862583455109"],
        ),
        (
            "Tel.: +49 (0)30 / 1234-0, Fax: -123",
            "DE",
            ["voice:+493012340", "fax:+49301234123"],
        ),
        (
            "電話：(02)2321-1234 轉 801、802",
            "TW",
            ["voice:+886223211234;x801", "voice:+886223211234;x802"],
        ),
        ("هاتف: ٠١١٤٦٧٠٠٠٠", "SA", ["voice:+966114670000"]),
        ("هاتف: 4678294 11 966+", "SA", ["voice:+966114678294"]),
        ("０２５－８３４５５１８９", "CN", ["voice:+862583455189"]),
    ],
)
def test_a_number_is_read_in_the_company_of_its_neighbours(text, region, values):
    assert found(text, region) == [values]


def test_a_number_that_reaches_nobody_is_told_as_it_stands_and_never_repaired():
    ((phone, fax),) = [
        it.phones for it in extract("Tel: 83455189, Fax: 025-834551", region="CN").contacts
    ]
    assert (phone.e164, phone.verdict, phone.published) == (None, "invalid", "83455189")
    assert (fax.e164, fax.verdict, fax.published) == (None, "invalid", "025-834551")


def test_a_fax_on_the_telephone_s_number_is_doubted():
    (contact,) = extract("Tel/Fax: 020 7946 0123", region="GB").contacts
    assert [it.verdict for it in contact.phones] == ["valid", "warning"]


@pytest.mark.parametrize(
    "noise",
    [
        "Open 9.00-17.30, 14.03.2026, 2019-2020, 03/14/2026",
        "ISBN 978-3-16-148410-0, DOI 10.1000/182-4567890, ORCID 0000-0002-1825-0097",
        "IBAN DE89 3704 0044 0532 0130 00, USt-IdNr. DE123456789",
        "Total £1,234,567.89, 32.0603, 118.7969, 192.168.10.254",
        "Order no. 1234567890, Room 2.14, 税号：91320000123456789X，邮编：210042",
    ],
)
@pytest.mark.parametrize("region", ["GB", "DE", "CN", "US"])
def test_noise_yields_nothing(noise, region):
    assert extract(noise, region=region).contacts == ()


def test_the_region_is_seen_on_the_page_when_none_is_given():
    page = "Tel. 0551 39-7070, from abroad +49 551 397070, info@uni.example.de"
    assert extract(page).region == "DE"
    assert found(page, "")[0].count("voice:+49551397070") == 1


# ------------------------------------------------------------------ mailboxes


@pytest.mark.parametrize(
    "dressed",
    [
        "rdd (at) jitri [dot] org",
        "rdd[at]jitri.org",
        "rdd AT jitri DOT org",
        "rdd（at）jitri（dot）org",
        "rdd＠jitri．org",
        "rdd [arroba] jitri [punto] org",
        "rdd(собака)jitri.org",
        "rdd @ jitri . org",
    ],
)
def test_mailboxes_dressed_up_are_read(dressed):
    assert found(dressed) == [["mail:rdd@jitri.org"]]


@pytest.mark.parametrize(
    "markup",
    [
        "<p>rdd&#64;jitri&period;org</p>",
        "<p>rdd<!-- no -->@<b>jitri</b>.org</p>",
        '<p><a href="mailto:rdd%40jitri.org?subject=Hi">write</a></p>',
        '<p>rdd<span style="display:none">x</span>@jitri.org</p>',
        '<p style="unicode-bidi: bidi-override; direction: rtl">gro.irtij@ddr</p>',
        "<p>\u202egro.irtij@ddr\u202c</p>",
        '<meta itemprop="email" content="rdd@jitri.org"><p>Write to us</p>',
        "<style>.r{direction:rtl;unicode-bidi:bidi-override}</style><i class=r>gro.irtij@ddr</i>",
        '<a data-cfemail="422630260228362b6c2d3025">[email&#160;protected]</a>',
    ],
)
def test_mailboxes_hidden_in_markup_are_read(markup):
    if "data-cfemail" in markup:
        key = 0x42
        code = f"{key:02x}" + "".join(f"{ord(it) ^ key:02x}" for it in "rdd@jitri.org")
        markup = f'<a data-cfemail="{code}">[email&#160;protected]</a>'
    assert found(markup, format="html") == [["mail:rdd@jitri.org"]]


@pytest.mark.parametrize(
    "text", ["Meet us at nature.com", "logo@2x.png", "@handle@social.example", "a at b"]
)
def test_what_is_no_mailbox_is_left_alone(text):
    assert found(text) == []


# ------------------------------------------------------------------ markup


@pytest.mark.parametrize(
    "unseen",
    [
        "<!-- Tel: 020 7946 0123 -->",
        "<script>tel = '020 7946 0123'</script>",
        "<template>Tel: 020 7946 0123</template>",
        "<p hidden>Tel: 020 7946 0123</p>",
        '<p style="display : none">Tel: 020 7946 0123</p>',
        "<style>.off { visibility: hidden }</style><p class='a off'>Tel: 020 7946 0123</p>",
        "<del>Tel: 020 7946 0123</del>",
        "<!-- <p>Tel: 020 7946 0123</p>",
        '<p title="Tel: 020 7946 0123">x</p>',
    ],
)
def test_what_a_reader_does_not_see_is_not_published(unseen):
    assert found(f"<p>Fax: 020 7946 0199</p>{unseen}", format="html") == [["fax:+442079460199"]]


def test_styles_for_print_hide_nothing_on_the_screen():
    page = "<style>@media print { .x { display: none } }</style><p class=x>Tel: 020 7946 0123</p>"
    assert found(page, format="html") == [["voice:+442079460123"]]


def test_evidence_in_markup_is_the_source_s_own():
    page = "<p>T&eacute;l&nbsp;: <b>04 76</b> 82 55&#32;00</p>"
    (contact,) = extract(page, region="FR", format="html").contacts
    (phone,) = contact.phones
    assert page[slice(*phone.evidence)] == "04 76</b> 82 55&#32;00"
    assert phone.published == "04 76 82 55 00"


def test_a_number_behind_a_link_is_read_once():
    page = '<a href="tel:+442079460123">020 7946 0123</a> <a href="tel:+442079460124">Ring us</a>'
    assert found(page, format="html") == [["voice:+442079460123", "voice:+442079460124"]]


def test_a_number_for_machines_alone_is_read():
    page = '<div itemscope><meta itemprop="faxNumber" content="+44 20 7946 0123">Fax us</div>'
    (contact,) = extract(page, region="GB", format="html").contacts
    (fax,) = contact.phones
    assert (fax.e164, fax.kind) == ("+442079460123", "fax")
    assert page[slice(*fax.evidence)] == fax.published == "+44 20 7946 0123"


def test_json_ld_adds_what_the_page_does_not_show():
    page = (
        '<script type="application/ld+json">{"@type": "Organization", "name": "Lake Institute",'
        '"telephone": "+44 20 7946 0123", "email": "mailto:lake@example.org",'
        '"contactPoint": {"@type": "ContactPoint", "telephone": "+44 20 7946 0124",'
        '"availableLanguage": ["en", "zh-Hans"]}}</script><p>Tel: 020 7946 0123</p>'
    )
    contacts = extract(page, region="GB", format="html").to_json()["contacts"]
    assert [it["name"] for it in contacts] == ["Lake Institute", "Lake Institute"]
    assert contacts[0]["emails"] == ["lake@example.org"]
    assert [it["e164"] for it in contacts[0]["phones"]] == ["+442079460123"]
    assert contacts[1]["languages"] == ["en", "zh-Hans"]
    start, end = contacts[1]["evidence"][0]
    assert page[start:end] == "+44 20 7946 0124"


def test_broken_json_ld_costs_the_page_nothing():
    page = '<script type="application/ld+json">{"telephone":</script><p>Tel: 020 7946 0123</p>'
    assert found(page, format="html") == [["voice:+442079460123"]]


def test_departments_are_kept_apart_and_named():
    page = (
        "<h3>Planning</h3><p>Tel: 020 7946 0110<br>planning@town.example.org</p>"
        "<h3>Housing</h3><p>Tel: 020 7946 0120<br>Fax: 020 7946 0121</p>"
    )
    contacts = extract(page, region="GB", format="html").contacts
    assert [it.name for it in contacts] == ["Planning", "Housing"]
    assert found(page, format="html") == [
        ["voice:+442079460110", "mail:planning@town.example.org"],
        ["voice:+442079460120", "fax:+442079460121"],
    ]


# ------------------------------------------------------------------ any input


HOSTILE = [
    "<",
    "<a ",
    '<a "',
    "<a b='\"<c d='\"",
    "<a" + " " * 50,
    "<!--",
    "<div>",
    "<b><p></i>",
    "<table><td>",
    "<li>",
    "<address>1 High Street",
    "<style>/*</style>",
    "<style>.a{",
    '<script type="application/ld+json">[[[[',
    "<bdo dir=rtl>a",
    "&#",
    "1 ",
    "1/",
    "1~",
    "(1",
    "+86 ",
    "@",
    "a@b.",
    "a(at)b.",
    "tel/fax/",
    "Tel: 020 7946 0123\n",
    "Address: ",
    "\u200b",
]


@pytest.mark.parametrize("unit", HOSTILE, ids=lambda it: repr(it[:24]))
def test_the_time_is_linear_in_the_input_whatever_it_holds(unit):
    def seconds(size: int) -> float:
        page = (unit * (size // len(unit) + 1))[:size]
        begin = time.process_time()
        extract(page, region="CN", format="html" if "<" in unit else "text")
        return time.process_time() - begin

    # Sixteen times the input: sixteen times the steps if linear, 256 times if quadratic. Halfway
    # between, a busy machine is not taken for the one nor the other.
    small = min(seconds(10_000) for _ in range(3))
    assert seconds(160_000) < 64 * max(small, 0.005)


@given(st.text(max_size=300), st.sampled_from(["text", "html"]), st.sampled_from(["", "CN", "DE"]))
def test_any_text_is_read_without_complaint(text, kind, region):
    for contact in extract(text, region=region, format=kind).contacts:
        for place in contact.to_json()["evidence"]:
            assert 0 <= place[0] < place[1] <= len(text)


PIECES = st.lists(
    st.sampled_from(
        [
            "Tel: ", "Fax ", "电话：", "+86-25-83455189", "025-83455189", "/90", "~91", " ext. 12",
            "转 808", "rdd@jitri.org", " (at) ", "[dot]", "\n", "\t", "<p>", "</p>", "<td>", "<!--",
            "-->", "<b hidden>", "&#64;", "&nbsp;", "<a href='tel:+862583455189'>", "</a>", "(",
            ")", "Library", ", ", "-", "1", "\u200f", "０２５", "<table>", "<tr>", "</table>",
            "Address: ",
        ]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@given(PIECES)
def test_any_mixture_of_pieces_is_read_without_complaint(text):
    for kind in ("text", "html"):
        for contact in extract(text, region="CN", format=kind).contacts:
            for place in contact.to_json()["evidence"]:
                assert 0 <= place[0] < place[1] <= len(text)


@given(st.text("abc <>&\"'1+", max_size=60))
def test_what_is_escaped_is_text(text):
    page = f"<p>{escape(text)} Tel: 020 7946 0123</p>"
    assert "voice:+442079460123" in [
        value for record in found(page, format="html") for value in record
    ]
