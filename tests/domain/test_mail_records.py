"""What the DNS says in a domain's name, read as receivers of mail read it."""

from __future__ import annotations

import pytest

from directory.domain.mail_records import (
    Dmarc,
    aligned,
    dkim_keys,
    read_dmarc,
    read_spf,
    records_for,
)


class Zone:
    """A DNS of a test's own; what is not in it does not exist."""

    def __init__(self, **records: object) -> None:
        self.asked: list[str] = []
        self._texts: dict[str, list[str]] = records.get("texts", {})  # type: ignore[assignment]
        self._addresses: dict[str, list[str]] = records.get("addresses", {})  # type: ignore[assignment]
        self._exchangers: dict[str, list[str]] = records.get("exchangers", {})  # type: ignore[assignment]

    def texts(self, name: str) -> list[str] | None:
        self.asked.append(name)
        return self._texts.get(name)

    def addresses(self, name: str) -> list[str] | None:
        return self._addresses.get(name)

    def exchangers(self, name: str) -> list[str] | None:
        return self._exchangers.get(name)


def spf(record: str, **more: object) -> Zone:
    texts = {"x.org": ["something else", record], **more.pop("texts", {})}  # type: ignore[dict-item]
    return Zone(texts=texts, **more)


@pytest.mark.parametrize(
    ("zone", "address", "allows"),
    [
        (spf("v=spf1 ip4:192.0.2.0/24 -all"), "192.0.2.9", True),
        (spf("v=spf1 ip4:192.0.2.0/24 -all"), "198.51.100.1", False),
        (spf("v=spf1 ip6:2001:db8::/32 -all"), "2001:db8::1", True),
        (spf("v=spf1 +ip4:192.0.2.9 -all"), "192.0.2.9", True),
        (spf("v=spf1 -ip4:192.0.2.9 ~all"), "192.0.2.9", False),
        (spf("v=spf1 a -all", addresses={"x.org": ["192.0.2.9"]}), "192.0.2.9", True),
        (spf("v=spf1 a:m.org -all", addresses={"m.org": ["192.0.2.9"]}), "192.0.2.9", True),
        (spf("v=spf1 a:m.org/24 -all", addresses={"m.org": ["192.0.2.1"]}), "192.0.2.9", True),
        (
            spf("v=spf1 mx -all", exchangers={"x.org": ["m.org"]}, addresses={"m.org": ["::9"]}),
            "::9",
            True,
        ),
        (
            spf("v=spf1 include:y.org -all", texts={"y.org": ["v=spf1 ip4:192.0.2.9 -all"]}),
            "192.0.2.9",
            True,
        ),
        (
            spf("v=spf1 redirect=y.org", texts={"y.org": ["v=spf1 ip4:192.0.2.9 -all"]}),
            "192.0.2.9",
            True,
        ),
        (spf("v=spf1 ip4:nonsense include:nowhere.org -all"), "192.0.2.9", False),
    ],
)
def test_spf_says_who_may_send(zone: Zone, address: str, allows: bool) -> None:
    found = read_spf("x.org", zone, [address])
    assert (found.problem, found.allows) == ("", allows)


def test_spf_that_nobody_can_use_is_told_apart() -> None:
    endless = Zone(texts={"x.org": ["v=spf1 include:x.org -all"]})
    several = Zone(texts={"x.org": ["v=spf1 -all", "v=spf1 a -all"]})

    assert read_spf("x.org", Zone()).problem == "none"
    assert read_spf("x.org", Zone(texts={"x.org": ["v=spf10 -all"]})).problem == "none"
    assert read_spf("x.org", several).problem == "several"
    assert read_spf("x.org", endless, ["192.0.2.9"]).problem == "lookups"
    assert len(endless.asked) <= 12


@pytest.mark.parametrize(
    ("record", "closed"), [("v=spf1 -all", True), ("v=spf1 a ~all", True), ("v=spf1 +all", False)]
)
def test_spf_is_closed_when_nobody_else_may_send(record: str, closed: bool) -> None:
    assert read_spf("x.org", spf(record)).closed is closed


def test_dmarc_is_looked_for_at_the_domain_and_above_it() -> None:
    zone = Zone(texts={"_dmarc.x.org": ["v=DMARC1; p=reject; sp=quarantine; aspf=s"]})

    assert read_dmarc("x.org", zone) == Dmarc("x.org", "reject", strict_spf=True)
    assert read_dmarc("mail.a.x.org", zone) == Dmarc("x.org", "quarantine", strict_spf=True)
    assert read_dmarc("y.org", zone) == Dmarc()
    assert "_dmarc.org" not in zone.asked  # a registry's policy is not ours


@pytest.mark.parametrize(
    ("bounces", "sender", "dmarc", "same"),
    [
        ("x.org", "x.org", Dmarc("x.org", "none"), True),
        ("bounce.x.org", "x.org", Dmarc("x.org", "none"), True),
        ("bounce.x.org", "x.org", Dmarc("x.org", "none", strict_spf=True), False),
        ("bounce.x.org", "contact.x.org", Dmarc("x.org", "none"), True),
        ("y.org", "x.org", Dmarc("x.org", "none"), False),
        ("notx.org", "x.org", Dmarc("x.org", "none"), False),
    ],
)
def test_alignment_is_the_same_domain_or_one_below_it(
    bounces: str, sender: str, dmarc: Dmarc, same: bool
) -> None:
    assert aligned(bounces, sender, dmarc) is same


def test_dkim_keys_are_those_that_hold_a_key() -> None:
    zone = Zone(
        texts={
            "_domainkey.x.org": [],
            "default._domainkey.x.org": ["v=DKIM1; p=MIGf"],
            "mail._domainkey.x.org": ["v=DKIM1; p="],  # withdrawn
        }
    )
    assert dkim_keys("x.org", zone) == ["default"]
    assert dkim_keys("y.org", zone) is None


def test_the_records_to_add_are_whole() -> None:
    assert records_for(
        from_domain="x.org", bounce_domain="b.x.org", smarthost="m.org", reports_to="it@x.org"
    ) == [
        ("b.x.org", "TXT", "v=spf1 a:m.org -all"),
        ("_dmarc.x.org", "TXT", "v=DMARC1; p=quarantine; rua=mailto:it@x.org"),
    ]
