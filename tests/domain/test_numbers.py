from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from directory.domain.errors import InvalidValue
from directory.domain.numbers import PhoneNumber, ServiceNumber, read

FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
ARABIC = {ord("0") + n: 0x0660 + n for n in range(10)}
PERSIAN = {ord("0") + n: 0x06F0 + n for n in range(10)}
DEVANAGARI = {ord("0") + n: 0x0966 + n for n in range(10)}


def examples():
    """Every kind of number of every country in the metadata, with its region."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in range(11):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is not None and phonenumbers.is_valid_number(number):
                yield region, number


EXAMPLES = list(examples())


def e164(number):
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def code_of(text, region="CN"):
    with pytest.raises(InvalidValue) as refused:
        PhoneNumber.parse(text, region=region)
    return refused.value.code


@pytest.mark.parametrize(
    "style",
    [PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.RFC3966],
)
def test_every_country_s_numbers_read_from_anywhere(style):
    wrong = [
        phonenumbers.format_number(number, style)
        for _, number in EXAMPLES
        if read(phonenumbers.format_number(number, style), "CN").e164 != e164(number)
    ]

    assert wrong == []


def test_every_country_s_numbers_read_at_home():
    wrong = [
        (region, text)
        for region, number in EXAMPLES
        for text in [phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)]
        if read(text, region).e164 != e164(number)
    ]

    assert wrong == []


def test_two_zeros_mean_abroad_whatever_the_caller_s_own_prefix_is():
    wrong = [
        (region, number)
        for region, number in EXAMPLES
        if read("00" + e164(number)[1:], region).e164 != e164(number)
    ]

    assert wrong == []


@pytest.mark.parametrize("digits", [FULL_WIDTH, ARABIC, PERSIAN, DEVANAGARI])
def test_digits_of_other_scripts_are_digits(digits):
    wrong = [
        text
        for region, number in EXAMPLES[::3]
        for text in [phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)]
        if read(text.translate(digits), region).e164 != e164(number)
    ]

    assert wrong == []


NOTATIONS = [
    " ext. {}", " ext {}", " Ext: {}", " extension {}", " x{}", " x {}", "#{}", " (ext. {})",
    "转{}", " 转 {}", "转分机{}", "轉{}", " 分机{}", " 分機 {}", "（内线{}）", " 内線 {}",
    " 內線{}", " 내선 {}", " DW {}", " - Durchwahl {}", " Kl. {}", " poste {}", " int. {}",
    " interno {}", ", доб. {}", " доб.{}", " (доб. {})", " вн. {}", " ramal {}", " anexo {}",
    " toestel {}",
    " ankn. {}", " wew. {}", " linka {}", " mellék {}", " dahili {}", " (εσωτ. {})",
    " تحويلة {}", " داخلی {}", " שלוחה {}", " ต่อ {}", " máy lẻ {}", " psw. {}", " loc. {}",
    ";ext={}", ",,{}", " EXT.{}", " ｅｘｔ．{}",
]  # fmt: skip


@given(
    st.sampled_from(EXAMPLES),
    st.sampled_from(NOTATIONS),
    st.integers(1, 999_999).map(str) | st.sampled_from(["0", "00", "012"]),
)
def test_an_extension_is_read_in_the_notation_of_many_languages(example, notation, extension):
    region, number = example
    text = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)

    found = PhoneNumber.parse(text + notation.format(extension), region=region)

    assert (found.e164, found.extension) == (e164(number), extension)


@given(st.sampled_from(EXAMPLES), st.integers(0, 99_999).map(str) | st.just(""))
def test_what_we_show_reads_back_as_the_same_number(example, extension):
    region, number = example
    shown = PhoneNumber(e164(number), extension)

    assert PhoneNumber.parse(shown.uri) == shown
    for language in ("en", "zh-Hans"):
        assert PhoneNumber.parse(shown.display(language)) == shown
        assert PhoneNumber.parse(shown.display_national(language), region=region) == shown


@given(st.text(max_size=60), st.sampled_from(["CN", "GB", "US", "DE", ""]))
def test_any_text_is_a_number_or_refused_with_a_code(text, region):
    try:
        number = PhoneNumber.parse(text, region=region)
    except InvalidValue as refused:
        assert refused.code.startswith("phone.") and refused.text("zh-Hans")
    else:
        assert PhoneNumber(number.e164, number.extension) == number


@given(st.text("0123456789+-()/.,;#x转 ", max_size=30), st.sampled_from(["CN", "US", "IT"]))
def test_digits_are_never_invented_or_lost(text, region):
    try:
        reading = read(text, region)
    except InvalidValue:
        return
    typed = "".join(filter(str.isdigit, text))

    assert typed.endswith(reading.extension)
    assert reading.e164[-4:] in typed


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+86-25-83455189", "", "+862583455189"),
        ("+86 025 8345 5189", "SG", "+862583455189"),
        ("+86 (0)25 8345 5189", "SG", "+862583455189"),
        ("(0086)25-83455189", "US", "+862583455189"),
        ("0086 25 8345 5189", "SG", "+862583455189"),  # 008 is Singapore's own prefix, 62 a country
        ("011 86 25 8345 5189", "US", "+862583455189"),
        ("（０２５）８３４５－５１８９", "CN", "+862583455189"),
        ("\u200e025\u201083455189\u200f", "CN", "+862583455189"),
        ("☎ 025 8345 5189", "CN", "+862583455189"),
        ("86-25-83455189", "CN", "+862583455189"),
        ("０３ー１２３４ー５６７８", "JP", "+81312345678"),
        ("+44 (0) 20 7946 0123", "CN", "+442079460123"),
        (
            "+34 (0)91 396 5000",
            "CN",
            "+34913965000",
        ),  # no trunk zero in Spain, written all the same
        ("+39 (0)6 698 83712", "CN", "+390669883712"),  # and in Italy the zero is dialled
        ("+225 (0)7 07 12 34 56", "CN", "+2250707123456"),
        ("030/12345678", "DE", "+493012345678"),
        ("+49 (0)511/762-0", "CN", "+495117620"),
        ("+49/30/12345678", "CN", "+493012345678"),
        ("8 (495) 123-45-67", "RU", "+74951234567"),
        ("8-800-555-35-35", "RU", "+78005553535"),
        ("800-555-35-35", "RU", "+78005553535"),
        ("62-21-7270020", "ID", "+62217270020"),
        ("011 15-3123-4567", "AR", "+5491131234567"),
        ("310-1234", "CA", "+13101234"),
        ("+800 1234 5678", "CN", "+80012345678"),
        ("20 7946 0123", "uk", "+442079460123"),
    ],
)
def test_numbers_as_people_write_them(text, region, number):
    assert PhoneNumber.parse(text, region=region).e164 == number


@pytest.mark.parametrize(
    ("text", "region", "code"),
    [
        ("", "CN", "phone.required"),
        (" \u200b ", "CN", "phone.required"),
        ("010-6255xxxx", "CN", "phone.letters"),
        ("1-800-FLOWERS", "US", "phone.letters"),
        ("电话 025-83455189", "CN", "phone.letters"),
        ("Tel: 025-83455189", "CN", "phone.letters"),
        ("025-8345518O", "CN", "phone.letters"),
        ("025-83455189 ext", "CN", "phone.letters"),
        ("+44 20 7946 0123/24", "GB", "phone.two_numbers"),
        ("025-83455189/83455190", "CN", "phone.two_numbers"),
        ("025-83455189、83455190", "CN", "phone.two_numbers"),
        ("025-83455189；83455190", "CN", "phone.two_numbers"),
        ("025-83455189或83455190", "CN", "phone.two_numbers"),
        ("025-83455189 or 83455190", "CN", "phone.two_numbers"),
        ("025-83455189~91", "CN", "phone.two_numbers"),
        ("025-83455189\n025-83455190", "CN", "phone.two_numbers"),
        ("+86 25 8345 5189 +86 25 8345 5190", "CN", "phone.two_numbers"),
        ("025-83455189转808/809", "CN", "phone.two_numbers"),
        ("0511/7620/7630", "DE", "phone.two_numbers"),
        ("12", "CN", "phone.too_short"),
        ("+65 6123 456", "CN", "phone.too_short"),
        ("+65 6123 45678", "CN", "phone.too_long"),
        ("+86 25 8345 518", "CN", "phone.too_short"),  # possible in China, but not in Nanjing
        ("+86 25 8345 51890", "CN", "phone.too_long"),
        ("+44 20 7946 012", "GB", "phone.too_short"),
        ("8" * 41, "CN", "phone.too_long"),
        ("8" * 4_000, "CN", "phone.too_long"),
        ("83455189", "CN", "phone.invalid"),  # without its area code
        ("8345 518", "CN", "phone.invalid"),
        ("+86 8345 5189", "CN", "phone.invalid"),
        ("7946 0123", "GB", "phone.invalid"),
        ("253-0000", "US", "phone.invalid"),
        ("8 (771) 000 999", "KZ", "phone.too_short"),  # the 8 is dialled first and no part of it
        ("020 7946 0123", "", "phone.invalid"),
        ("0044 20 7946 01", "US", "phone.invalid"),
        ("+999 12345678", "CN", "phone.invalid"),
        ("+", "CN", "phone.invalid"),
        ("+86 25 8345 5189 ext 1234567890", "CN", "phone.extension"),
        ("025-83455189!", "CN", "phone.invalid"),
    ],
)
def test_what_is_refused_and_why(text, region, code):
    assert code_of(text, region) == code


def test_a_wrong_length_names_the_country_of_the_number():
    with pytest.raises(InvalidValue) as refused:
        PhoneNumber.parse("+44 20 7946 012", region="CN")

    assert refused.value.text("en") == "This number has too few digits for United Kingdom"
    assert refused.value.text("zh-Hans") == "该号码位数少于英国号码的位数"


def test_a_shared_country_code_names_the_writer_s_own_country():
    with pytest.raises(InvalidValue) as refused:
        PhoneNumber.parse("+1 416 555 01234", region="CA")

    assert refused.value.params == {"country": "CA"}


def test_a_range_unknown_to_us_is_kept():
    assert PhoneNumber.parse("+65 2123 4567").type == "unknown"


@pytest.mark.parametrize(
    ("text", "region", "number", "extension"),
    [
        ("0571-2882 3655-808", "CN", "+8657128823655", "808"),
        ("(025)83455189-1", "CN", "+862583455189", "1"),
        ("+1 650-253-0000-123", "US", "+16502530000", "123"),
    ],
)
def test_a_group_too_many_after_a_hyphen_is_an_extension(text, region, number, extension):
    reading = read(text, region)

    assert reading.extension_inside
    assert (reading.e164, reading.extension) == (number, extension)


def test_a_group_that_belongs_to_the_number_is_none():
    reading = read("0511 762-19999", "DE")

    assert not reading.extension_inside
    assert reading.e164 == "+4951176219999"


def test_how_a_number_is_shown_and_dialled():
    desk = PhoneNumber("+862583455189", "12")

    assert desk.international == "+86 25 8345 5189"
    assert desk.national == "025 8345 5189"
    assert desk.display("en") == "+86 25 8345 5189 ext. 12"
    assert desk.display("zh-Hans") == "+86 25 8345 5189 转 12"
    assert desk.display_national("zh-Hans") == "025 8345 5189 转 12"
    assert desk.uri == "tel:+86-25-8345-5189;ext=12"
    assert str(desk) == desk.display("en")
    assert (desk.region, desk.type) == ("CN", "fixed_line")


def test_a_number_for_the_whole_world_has_no_country():
    assert PhoneNumber("+80012345678").region == "001"


@pytest.mark.parametrize(
    ("number", "extension", "code"),
    [
        ("02079460123", "", "phone.invalid"),
        ("+44 20 7946 0123", "", "phone.invalid"),
        ("+0442079460123", "", "phone.invalid"),
        ("+4420794601231234", "", "phone.invalid"),
        ("+٤٤٢٠٧٩٤٦٠١٢٣", "", "phone.invalid"),
        ("+442079460123", "12a", "phone.extension"),
        ("+442079460123", "1234567890", "phone.extension"),
    ],
)
def test_a_number_that_exists_is_right(number, extension, code):
    with pytest.raises(InvalidValue) as refused:
        PhoneNumber(number, extension)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "region", "digits", "uri"),
    [
        ("95588", "CN", "95588", "tel:95588;phone-context=+86"),
        ("１２３４５", "CN", "12345", "tel:12345;phone-context=+86"),
        ("+86 10086", "CN", "10086", "tel:10086;phone-context=+86"),
        ("tel:95588;phone-context=+86", "CN", "95588", "tel:95588;phone-context=+86"),
        ("116 117", "DE", "116117", "tel:116117;phone-context=+49"),
        ("000", "AU", "000", "tel:000;phone-context=+61"),
        ("15", "FR", "15", "tel:15;phone-context=+33"),
    ],
)
def test_short_numbers_of_a_country_are_service_numbers(text, region, digits, uri):
    number = ServiceNumber.parse(text, region=region)

    assert (number.digits, number.uri, number.display("en")) == (digits, uri, digits)
    assert code_of(text, region) in {"phone.too_short", "phone.invalid"}


@pytest.mark.parametrize(
    ("text", "region", "code"),
    [
        ("", "CN", "phone.required"),
        ("83455189", "CN", "phone.invalid"),
        ("025-83455189", "CN", "phone.invalid"),
        ("95588", "", "phone.invalid"),
        ("12345", "US", "phone.invalid"),  # a text-message code: nobody can ring it
        ("DIAL1", "CN", "phone.letters"),
    ],
)
def test_what_is_no_service_number(text, region, code):
    with pytest.raises(InvalidValue) as refused:
        ServiceNumber.parse(text, region=region)

    assert refused.value.code == code
