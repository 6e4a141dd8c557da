from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.adapters.links import CROCKFORD, Link, Signer, TokenState, link_in
from directory.domain.delivery import DeliveryKind
from directory.domain.errors import LinkRefused, SettingsInvalid

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
REFERENCE = "7K4M2QXD"
DOMAIN = "contact.institute.example"

symbols = st.text(CROCKFORD, min_size=8, max_size=8)
signer = Signer("a secret for the tests, and only for them")


def test_a_link_fits_the_line_it_stands_on():
    token = signer.action_token(REFERENCE, 1, version=1)

    assert len(token) == len("7K4M2QXD-1-") + 27
    assert len(f"https://contact.institute.example/a/{token}?do=wrong") == 83


@given(symbols, st.integers(1, 999), st.integers(1, 50))
def test_a_link_opens_what_it_was_made_for(symbols, recipient, version):
    action = signer.action_token(symbols, recipient, version)
    status = signer.status_token(symbols, version)

    assert signer.read_action_token(action, version) == Link(symbols, recipient)
    assert signer.read_status_token(status, version) == Link(symbols)


@given(st.integers(0, 37), st.sampled_from(CROCKFORD))
def test_a_link_with_one_symbol_changed_is_forged(at, symbol):
    token = signer.action_token(REFERENCE, 1, version=1)
    altered = token[:at] + symbol + token[at + 1 :]

    if altered != token:
        with pytest.raises(LinkRefused, match="forged"):
            signer.read_action_token(altered, 1)


@given(st.text(max_size=60))
def test_any_other_text_is_forged(text):
    for read in (signer.read_status_token, signer.read_action_token):
        with pytest.raises(LinkRefused, match="forged"):
            read(text, 1)


@pytest.mark.parametrize("spelling", ["01", "+1", "１", "", "1_0"])
def test_a_recipient_is_spelt_in_one_way_only(spelling):
    token = signer.action_token(REFERENCE, 1, version=1)

    with pytest.raises(LinkRefused, match="forged"):
        link_in(token.replace("-1-", f"-{spelling}-"))


def test_a_link_for_one_purpose_does_not_serve_another():
    status = signer.status_token(REFERENCE, 1)
    symbols, signature = status.split("-")

    with pytest.raises(LinkRefused, match="forged"):
        signer.read_action_token(status, 1)
    with pytest.raises(LinkRefused, match="forged"):
        signer.read_action_token(f"{symbols}-1-{signature}", 1)
    with pytest.raises(LinkRefused, match="forged"):
        signer.read_status_token(signer.action_token(REFERENCE, 1, 1), 1)


def test_raising_the_version_revokes_what_was_sent_before():
    token = signer.status_token(REFERENCE, 1)

    with pytest.raises(LinkRefused, match="revoked"):
        signer.read_status_token(token, 3)
    with pytest.raises(LinkRefused, match="forged"):
        signer.read_status_token(signer.status_token(REFERENCE, 4), 3)


def test_links_survive_a_new_secret_and_end_with_their_own():
    first, second = "the first secret, long enough for it", "a second one put before it, as long"
    before, rotated, alone = Signer(first), Signer(second, first), Signer(second)
    link = before.status_token(REFERENCE, 1)
    form = before.form_token(NOON)
    cookie = before.sign_value("seen", {"ref": REFERENCE}, NOON)
    sender = before.envelope_sender(DeliveryKind.ROUTED, 12, NOON, domain=DOMAIN)

    assert rotated.read_status_token(link, 1) == Link(REFERENCE)
    assert rotated.status_token(REFERENCE, 1) == alone.status_token(REFERENCE, 1) != link
    assert rotated.read_form_token(form, NOON) is TokenState.VALID
    assert rotated.read_value("seen", cookie, NOON, max_age=timedelta(1)) == {"ref": REFERENCE}
    assert rotated.read_envelope_sender(sender, domain=DOMAIN).delivery_id == 12
    with pytest.raises(LinkRefused, match="forged"):
        alone.read_status_token(link, 1)
    assert alone.read_form_token(form, NOON) is TokenState.FORGED


def test_two_secrets_that_share_a_key_symbol_are_both_tried():
    many = [f"secret number {n}, and so on and on and on" for n in range(80)]
    rotated = Signer(*many)

    for secret in many:
        token = Signer(secret).status_token(REFERENCE, 1)
        assert rotated.read_status_token(token, 1) == Link(REFERENCE)


@pytest.mark.parametrize("none", [[], [""], ["good enough for one", ""]])
def test_there_is_no_signing_without_a_secret(none):
    with pytest.raises(SettingsInvalid, match="DIRECTORY_SECRET_KEY"):
        Signer(*none)


# Form tokens


def test_a_form_token_is_good_for_a_day():
    token = signer.form_token(NOON)

    assert len(token) <= 64
    assert signer.read_form_token(token, NOON + timedelta(hours=24)) is TokenState.VALID
    assert signer.read_form_token(token, NOON + timedelta(hours=24, seconds=1)) is (
        TokenState.EXPIRED
    )


def test_a_form_token_survives_a_clock_that_goes_back():
    token = signer.form_token(NOON)

    assert signer.read_form_token(token, NOON - timedelta(hours=3)) is TokenState.VALID


def test_no_two_forms_have_the_same_token():
    assert len({signer.form_token(NOON) for _ in range(1_000)}) == 1_000


@given(st.integers(0, 43), st.characters())
def test_a_form_token_with_one_character_changed_is_forged(at, character):
    token = signer.form_token(NOON)
    altered = token[:at] + character + token[at + 1 :]

    if altered != token:
        assert signer.read_form_token(altered, NOON) is TokenState.FORGED


@given(st.text(max_size=80))
def test_any_other_text_is_no_form_token(text):
    assert signer.read_form_token(text, NOON) is TokenState.FORGED


# Signed values

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=5,
)


@given(json_values)
def test_a_signed_value_comes_back_as_it_was(value):
    text = signer.sign_value("any", value, NOON)

    assert text.isascii()
    assert not set(text) & set(' ",;\\=')
    assert signer.read_value("any", text, NOON, max_age=timedelta(minutes=30)) == value


def test_a_signed_value_is_refused_when_old_altered_or_made_for_something_else():
    text = signer.sign_value("act", {"ref": REFERENCE}, NOON)
    half_an_hour = timedelta(minutes=30)

    with pytest.raises(LinkRefused, match="expired"):
        signer.read_value("act", text, NOON + timedelta(minutes=31), max_age=half_an_hour)
    with pytest.raises(LinkRefused, match="forged"):
        signer.read_value("look", text, NOON, max_age=half_an_hour)
    for at in range(len(text)):
        altered = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(LinkRefused, match="forged"):
            signer.read_value("act", altered, NOON, max_age=half_an_hour)


@given(st.text(max_size=60))
def test_any_other_text_is_no_signed_value(text):
    with pytest.raises(LinkRefused, match="forged"):
        signer.read_value("act", text, NOON, max_age=timedelta(1))


# Envelope senders


@given(
    st.sampled_from(DeliveryKind),
    st.integers(1, 2**63 - 1),
    st.floats(1.5e9, 4.5e9),
)
def test_a_bounce_finds_its_delivery(kind, delivery_id, seconds):
    at = datetime.fromtimestamp(seconds, UTC)
    sender = signer.envelope_sender(kind, delivery_id, at, domain=DOMAIN)
    local, _, domain = sender.partition("@")

    bounce = signer.read_envelope_sender(sender, domain=DOMAIN)

    assert (bounce.kind, bounce.delivery_id) == (kind, delivery_id)
    assert bounce.made_at == at.replace(microsecond=0)
    assert domain == DOMAIN
    assert len(local) <= 64
    assert sender == sender.lower()
    assert sender == signer.envelope_sender(kind, delivery_id, at, domain=DOMAIN)


def test_a_bounce_is_read_whatever_case_a_server_made_of_it():
    sender = signer.envelope_sender(DeliveryKind.ROUTED, 42, NOON, domain=DOMAIN)

    assert signer.read_envelope_sender(sender.upper(), domain=DOMAIN).delivery_id == 42


def test_a_bounce_to_an_address_nobody_made_is_forged():
    sender = signer.envelope_sender(DeliveryKind.ROUTED, 42, NOON, domain=DOMAIN)
    local = sender.partition("@")[0]

    for at in range(len("bounce+"), len(local)):
        altered = local[:at] + ("q" if local[at] != "q" else "z") + local[at + 1 :]
        with pytest.raises(LinkRefused, match="forged"):
            signer.read_envelope_sender(f"{altered}@{DOMAIN}", domain=DOMAIN)
    for other in (f"{local}@elsewhere.example", f"bounce@{DOMAIN}", f"contact@{DOMAIN}", "", "@"):
        with pytest.raises(LinkRefused, match="forged"):
            signer.read_envelope_sender(other, domain=DOMAIN)


@given(st.text(st.characters(), max_size=60))
def test_any_other_address_is_no_bounce(text):
    for address in (text, f"bounce+{text}@{DOMAIN}"):
        with pytest.raises(LinkRefused, match="forged"):
            signer.read_envelope_sender(address, domain=DOMAIN)


# Where copies of answers come to

LOG = "log@contact.institute.example"


@given(symbols)
def test_the_address_for_copies_of_answers_tells_the_enquiry(symbols):
    address = signer.log_address(symbols, mailbox=LOG)

    assert signer.read_log_address(address, mailbox=LOG) == symbols
    assert signer.read_log_address(f" {address.upper()}", mailbox="LOG@Contact.institute.example")
    assert address == address.lower() and len(address.partition("@")[0]) <= 64
    longest = f"{'l' * 33}@x.example"
    assert len(signer.log_address(symbols, mailbox=longest).partition("@")[0]) == 64


def test_an_altered_address_for_copies_of_answers_is_forged():
    address = signer.log_address(REFERENCE, mailbox=LOG)
    local = address.partition("@")[0]
    altered = [
        *(
            f"{local[:at]}{'0' if local[at] != '0' else '1'}{local[at + 1 :]}"
            for at in range(4, 34)
        ),
        *("log", "log+", "log+.", local.replace("+", "-"), local[:-1], f"{local}0", "log+停车.x"),
    ]

    for name in altered:
        with pytest.raises(LinkRefused, match="forged"):
            signer.read_log_address(f"{name}@contact.institute.example", mailbox=LOG)
    for other in ("log@elsewhere.example", "answers@contact.institute.example"):
        with pytest.raises(LinkRefused, match="forged"):
            signer.read_log_address(address, mailbox=other)
    bounce = signer.envelope_sender(
        DeliveryKind.ROUTED, 1, NOON, domain="contact.institute.example"
    )
    with pytest.raises(LinkRefused, match="forged"):
        signer.read_log_address(bounce, mailbox=LOG)


def test_an_address_for_copies_of_answers_outlives_a_new_key():
    before, rotated = Signer("first of all"), Signer("second to none", "first of all")
    address = before.log_address(REFERENCE, mailbox=LOG)

    assert rotated.read_log_address(address, mailbox=LOG) == REFERENCE
    with pytest.raises(LinkRefused):
        Signer("second to none").read_log_address(address, mailbox=LOG)
