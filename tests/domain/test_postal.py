from __future__ import annotations

import pytest

from directory.domain import postal
from directory.domain.errors import InvalidValue
from directory.domain.postal import PostalAddress

NANJING = PostalAddress.parse(
    country="CN",
    postcode="210042",
    lines={"en": ["No. 699 Xuanwu Avenue"], "zh-Hans": ["玄武大道699号"]},
    locality={"en": "Nanjing", "zh-Hans": "南京市"},
    region={"en": "Jiangsu", "zh-Hans": "江苏省"},
)


def code_of(**parts):
    with pytest.raises(InvalidValue) as refused:
        PostalAddress.parse(**parts)
    return refused.value.code


def test_english_readers_go_from_the_door_to_the_country():
    assert NANJING.formatted("en") == [
        "No. 699 Xuanwu Avenue",
        "Nanjing",
        "Jiangsu, 210042",
        "China",
    ]


def test_chinese_readers_go_from_the_country_to_the_door():
    assert NANJING.formatted("zh-Hans") == ["中国江苏省南京市", "玄武大道699号", "210042"]
    assert NANJING.one_line("zh-Hans") == "中国江苏省南京市玄武大道699号 210042"


def test_a_letter_inside_the_country_leaves_it_out():
    assert NANJING.one_line("zh-Hans", country=False) == "江苏省南京市玄武大道699号 210042"
    assert NANJING.formatted("en", country=False)[-1] == "Jiangsu, 210042"


def test_a_city_that_is_a_province_is_written_once():
    beijing = PostalAddress.parse(
        country="CN",
        lines={"zh-Hans": ["海淀区中关村大街1号"]},
        locality={"zh-Hans": "北京市"},
        region={"zh-Hans": "北京市"},
    )

    assert beijing.one_line("zh-Hans") == "中国北京市海淀区中关村大街1号"


def test_an_address_in_one_language_is_shown_in_that_one_to_all():
    london = PostalAddress.parse(
        country="gb", postcode="wc1e 7hu", lines={"en": ["Malet Street"]}, locality={"en": "London"}
    )

    assert london.language_for("zh-Hans") == "en"
    assert london.formatted("zh-Hans") == ["Malet Street", "London", "WC1E 7HU", "United Kingdom"]


@pytest.mark.parametrize(
    ("country", "postcode", "locality", "region", "line"),
    [
        ("SG", "119 077", "", "", "SINGAPORE 119077"),
        ("DE", "10117", "Berlin", "", "10117 Berlin"),
        ("CH", "8092", "Zürich", "", "CH-8092 Zürich"),
        ("US", "94305", "Stanford", "CA", "Stanford, CA 94305"),
        ("US", "", "Stanford", "CA", "Stanford, CA"),
        ("US", "94305", "", "CA", "CA 94305"),
    ],
)
def test_each_country_s_post_has_its_own_order(country, postcode, locality, region, line):
    address = PostalAddress.parse(
        country=country,
        postcode=postcode,
        lines={"en": ["1 Main Street", " "]},
        locality={"en": locality},
        region={"en": region},
    )

    assert address.formatted("en")[:2] == ["1 Main Street", line]


def test_a_country_already_said_is_not_said_again():
    address = PostalAddress.parse(country="SG", postcode="119077", lines={"en": ["Level 3"]})

    assert address.formatted("en") == ["Level 3", "SINGAPORE 119077"]


@pytest.mark.parametrize(
    ("country", "typed", "kept"),
    [
        ("CN", "２１００４２", "210042"),
        ("CN", "210 042", "210042"),
        ("GB", "ec1a 1bb", "EC1A 1BB"),
        ("CH", "CH-8092", "8092"),
        ("JP", "154-0023", "154-0023"),
        ("IE", "d02 x285", "D02 X285"),
        ("HK", "999077", "999077"),  # no postcodes there; kept as given
    ],
)
def test_postcodes_as_people_write_them(country, typed, kept):
    assert PostalAddress.parse(country=country, postcode=typed).postcode == kept


@pytest.mark.parametrize(
    ("country", "typed", "code"),
    [
        ("CN", "21004", "postcode.cn"),
        ("SG", "1190777", "postcode.sg"),
        ("DE", "1011", "postcode.invalid"),
        ("GB", "12345", "postcode.invalid"),
    ],
)
def test_a_wrong_postcode_is_refused(country, typed, code):
    assert code_of(country=country, postcode=typed) == code


def test_a_wrong_postcode_shows_a_right_one():
    with pytest.raises(InvalidValue) as refused:
        PostalAddress.parse(country="DE", postcode="1")

    assert str(refused.value) == "Postcodes in Germany look like 26133"


@pytest.mark.parametrize("country", ["", "XX", "CHN", "中国", "C1"])
def test_a_country_is_one_of_the_world(country):
    assert code_of(country=country) == "country.unknown"


def test_an_address_without_its_postcode_is_kept_and_says_so():
    published = PostalAddress.parse(
        country="CN", lines={"en": ["No. 699 Xuanwu Avenue"]}, locality={"en": "Nanjing"}
    )

    assert published.missing == ("address.region_required", "postcode.required")
    assert NANJING.missing == ()
    assert PostalAddress.parse(country="SG").missing == (
        "address.street_required",
        "postcode.required",
    )


def test_it_is_stored_and_read_again_unchanged():
    assert PostalAddress.from_parts(NANJING.to_parts() | {"lat": 32.1, "lon": 118.9}) == NANJING


def test_no_line_carries_a_control_character():
    assert code_of(country="SG", lines={"en": ["Level 3\0"]}) == "text.control"


def test_the_rules_of_a_country_are_read_once(monkeypatch):
    PostalAddress.parse(country="BR", postcode="70002-900")
    monkeypatch.setattr(postal, "load_validation_data", lambda _: pytest.fail("read again"))

    assert PostalAddress.parse(country="BR", postcode="70002900").postcode == "70002900"


def test_an_address_whose_street_stands_in_one_language_is_shown_whole_in_it():
    half = PostalAddress.parse(
        country="CN",
        lines={"en": ["No. 699 Xuanwu Avenue"]},
        locality={"en": "Nanjing", "zh-Hans": "南京市"},
    )

    assert half.language_for("zh-Hans") == "en"
    assert half.formatted("zh-Hans") == ["No. 699 Xuanwu Avenue", "Nanjing", "China"]


def test_an_address_whole_in_no_language_is_shown_where_its_street_is():
    torn = PostalAddress.parse(
        country="CN", lines={"zh-Hans": ["玄武大道699号"]}, locality={"en": "Nanjing"}
    )

    assert torn.language_for("en") == "zh-Hans"
    assert PostalAddress.parse(country="CN", lines={"en": ["x"]}).language_for("en") == "en"
    assert PostalAddress.parse(country="CN").language_for("zh-Hans") == "zh-Hans"


@pytest.mark.parametrize(
    ("country", "postcode", "locality", "region", "lines"),
    [
        ("CN", "", "Nanjing", "Jiangsu", ["Nanjing, Jiangsu, China"]),
        ("CN", "210042", "Nanjing", "Jiangsu", ["Nanjing", "Jiangsu, 210042", "China"]),
        ("GB", "SW1A 1AA", "London", "", ["London", "SW1A 1AA", "United Kingdom"]),
        ("GB", "", "London", "", ["London, United Kingdom"]),
        ("US", "94305", "Stanford", "CA", ["Stanford, CA 94305", "United States"]),
    ],
)
def test_places_share_a_line_unless_a_postcode_wants_its_own(
    country, postcode, locality, region, lines
):
    address = PostalAddress.parse(
        country=country,
        postcode=postcode,
        lines={"en": ["1 Main Street"]},
        locality={"en": locality},
        region={"en": region},
    )

    assert address.compact("en") == ["1 Main Street", *lines]


def test_each_piece_of_an_address_says_what_it_is():
    assert NANJING.pieces("zh-Hans") == [
        [("country", "中国"), ("region", "江苏省"), ("locality", "南京市")],
        [("street", "玄武大道699号")],
        [("postcode", "210042")],
    ]
    assert NANJING.pieces("en")[1:] == [
        [("locality", "Nanjing")],
        [("region", "Jiangsu"), ("", ", "), ("postcode", "210042")],
        [("country", "China")],
    ]
    singapore = PostalAddress.parse(country="SG", postcode="119077", lines={"en": ["Level 3"]})
    assert singapore.pieces("en")[1] == [
        ("country", "SINGAPORE"),
        ("", " "),
        ("postcode", "119077"),
    ]
