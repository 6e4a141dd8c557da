"""Electronic mail addresses: read as people type them, and what the part before the @ tells.

``email-validator`` knows international domain names; what comes before it here are the slips of
people (a full-width ＠, two addresses in one field) and the tricks of others: percent and bang
routing, quoted local parts and source routes make a mail server relay, and no mailbox that
answers enquiries needs them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Self

import idna
from email_validator import EmailNotValidError, validate_email

from directory.domain import mailbox_names
from directory.domain.errors import InvalidValue
from directory.domain.messages import country_name

_ADDRESS_MAX: Final = 254  # RFC 5321 section 4.5.3.1.3, erratum 1690; octets
_LOCAL_MAX: Final = 64  # RFC 5321 section 4.5.3.1.1; octets

# Most addresses are of this shape, and for them the library has nothing to add (a test compares).
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN: Final = re.compile(
    rf"(?P<local>[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@(?P<domain>(?:{_LABEL}\.)+[A-Za-z]{{2,63}})"
)
_SHAPE: Final = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")

# RFC 5322 atext, without the two characters that route: "%" and "!".
_NOT_LOCAL: Final = re.compile(r"[^A-Za-z0-9._+'&=~^?$*{}`/#|\u0080-\U0010ffff-]")
_NOT_DOMAIN: Final = re.compile(r"[^A-Za-z0-9.\u0080-\U0010ffff-]")
_SEPARATOR: Final = re.compile(r"[\s,;/|、，；]")

# Full-width ASCII, the small forms and the ideographic stop, all one key away in a Chinese or
# Japanese input method.
_HALF_WIDTH: Final = {0xFF01 + n: 0x21 + n for n in range(94)} | {
    0x3000: " ",
    0x3002: ".",
    0xFF61: ".",
    0xFE52: ".",
    0xFE6B: "@",
}
_INVISIBLE_EDGE: Final = "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2066\u2069\ufeff"

# Reserved for tests and inside networks (RFC 6761, 6762, 7686). The library refuses them; a test
# system and an intranet need them, and no list of ours decides who may write.
_RESERVED: Final = (".invalid", ".local", ".localhost", ".onion", ".arpa")
# Names that networks give themselves without a rule; the library knows nothing of them.
_INNER: Final = (".internal", ".intranet", ".lan", ".corp", ".home", ".private", ".localdomain")
# Endings of countries and unions that ISO 3166 has under another code, or no longer.
_MORE_COUNTRIES: Final = frozenset({"uk", "eu", "su", "ac", "tp"})


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """One mailbox, as it is written: "admissions@institute.example".

    The domain is in small letters and its own script; ``ascii`` is what SMTP is given. Raises
    InvalidValue "email.no_at" when made from text without the shape of an address; text that
    people typed goes through :meth:`parse`.
    """

    address: str

    def __post_init__(self) -> None:
        if not _SHAPE.fullmatch(self.address):
            raise InvalidValue("email.no_at")

    @classmethod
    def parse(cls, text: str, *, smtputf8: bool = False) -> Self:
        """Read one address. No DNS is asked and no domain is refused for whose it is.

        ``smtputf8`` says whether we may send to local parts beyond ASCII (RFC 6531). Raises
        InvalidValue "email.required", "email.no_at", "email.no_local", "email.bad_domain",
        "email.bad_char", "email.two_addresses", "email.too_long" or "email.smtputf8".
        """
        plain = _PLAIN.fullmatch(text)
        if plain is None:
            address = _careful(text)
        elif len(text) > _ADDRESS_MAX or len(plain["local"]) > _LOCAL_MAX:
            raise InvalidValue("email.too_long")
        elif "--" in plain["domain"]:  # punycode, or a label that only pretends to be
            address = _careful(text)
        else:
            address = f"{plain['local']}@{plain['domain'].lower()}"
        parsed = cls(address)
        if parsed.smtputf8 and not smtputf8:
            raise InvalidValue("email.smtputf8")
        return parsed

    @property
    def local(self) -> str:
        """The part before the @ sign."""
        return self.address.rpartition("@")[0]

    @property
    def domain(self) -> str:
        """The part after the @ sign, in its own script."""
        return self.address.rpartition("@")[2]

    @property
    def ascii(self) -> str:
        """The address with its domain in punycode (RFC 5891), for SMTP, MIME and DNS."""
        if self.domain.isascii():
            return self.address
        return f"{self.local}@{idna.encode(self.domain).decode('ascii')}"

    @property
    def smtputf8(self) -> bool:
        """Whether sending needs SMTPUTF8 on every server on the way (RFC 6531)."""
        return not self.local.isascii()

    @property
    def key(self) -> str:
        """Equal for two spellings of what is in practice one mailbox: capitals do not matter."""
        return self.ascii.casefold()

    @property
    def masked(self) -> str:
        """Enough for its owner to know it again: "l•••@example.com"."""
        return f"{self.local[0]}•••@{self.domain}"

    @property
    def is_no_reply(self) -> bool:
        """Whether the name itself says that nobody reads what arrives."""
        return mailbox_names.is_no_reply(self.local)

    @property
    def is_role(self) -> bool:
        """Whether the name is that of a task or an office, and not of a person."""
        return mailbox_names.is_role(self.local)

    @property
    def is_personal(self) -> bool:
        """Whether the name looks like one person's: "li.wei", "j.smith", "maria"."""
        return mailbox_names.is_personal(self.local)

    @property
    def likely_domain(self) -> str:
        """The well-known domain this one is a slip of ("gmial.com" → "gmail.com"), else ""."""
        return _SLIPS.get(self.domain) or _ending_slip(self.domain)

    @property
    def is_reserved(self) -> bool:
        """Whether the domain is for tests or inside networks only, so that no mail gets there."""
        return self.domain.endswith(_RESERVED + _INNER)

    @property
    def unknown_ending(self) -> str:
        """A last part of two letters that is no country's ("xx"), else ""."""
        ending = self.domain.rpartition(".")[2]
        if len(ending) != 2 or not ending.isascii() or ending in _MORE_COUNTRIES:
            return ""
        return "" if country_name(ending, "en") != ending else ending

    def __str__(self) -> str:
        return self.address


# ------------------------------------------------------------------ reading


def _careful(text: str) -> str:
    """The address in *text*, which is not of the commonest shape."""
    typed = text if text.isascii() else text.translate(_HALF_WIDTH)
    typed = typed.strip().strip(_INVISIBLE_EDGE).strip()
    if typed[:7].lower() == "mailto:":
        typed = typed[7:]
    if typed[:1] == "<" and typed[-1:] == ">":
        typed = typed[1:-1].strip()
    if not typed:
        raise InvalidValue("email.required")
    if "@" not in typed:
        raise InvalidValue("email.no_at")
    if typed.count("@") > 1:
        if _SEPARATOR.search(typed) and '"' not in typed:
            raise InvalidValue("email.two_addresses")
        raise InvalidValue("email.bad_char", chars=("@",))
    local, domain = (part.strip() for part in typed.split("@"))
    if not local:
        raise InvalidValue("email.no_local")
    if domain[:1] == "[":
        raise InvalidValue("email.bad_domain", domain=domain)
    wrong = [c for c in local if _NOT_LOCAL.match(c) or _is_sign(c)]
    wrong += [c for c in domain if _NOT_DOMAIN.match(c)]
    if wrong:
        raise InvalidValue("email.bad_char", chars=tuple(dict.fromkeys(wrong)))
    _check_local(local)
    return _normalised(local, domain)


def _check_local(local: str) -> None:
    if ".." in local:
        raise InvalidValue("email.bad_char", chars=("..",))
    if local[0] == "." or local[-1] == ".":
        raise InvalidValue("email.bad_char", chars=(".",))
    if len(local.encode()) > _LOCAL_MAX:
        raise InvalidValue("email.too_long")


def _is_sign(character: str) -> bool:
    """Whether a character beyond ASCII is no letter, mark or digit: quotes, blanks, emoji."""
    return not character.isascii() and unicodedata.category(character)[0] not in "LMN"


def _normalised(local: str, domain: str) -> str:
    if len(f"{local}@{domain}".encode()) > _ADDRESS_MAX:
        raise InvalidValue("email.too_long")
    reserved = next((end for end in _RESERVED if domain.lower().endswith(end)), "")
    checked = domain[: -len(reserved)] + ".test" if reserved else domain
    try:
        found = validate_email(
            f"{local}@{checked}",
            allow_smtputf8=True,
            allow_quoted_local=False,
            allow_domain_literal=False,
            check_deliverability=False,
            test_environment=True,
        )
    except EmailNotValidError as error:
        raise _refusal(domain) from error
    if len(found.domain.rpartition(".")[2]) < 2 or "." not in found.domain:
        raise InvalidValue("email.bad_domain", domain=domain)
    if reserved:
        return f"{found.local_part}@{found.domain.removesuffix('.test')}{reserved}"
    return f"{found.local_part}@{found.domain}"


def _refusal(domain: str) -> InvalidValue:
    """What to say of an address the library refused: its local part was checked before."""
    shown = "".join(c for c in domain if c.isprintable())
    if any(len(label.encode()) > 63 for label in domain.split(".")):
        return InvalidValue("email.too_long")
    return InvalidValue("email.bad_domain", domain=shown)


_SLIPS: Final = {
    slip: meant
    for meant, slips in {
        "gmail.com": "gmial.com gmai.com gamil.com gmal.com gnail.com gmaill.com gmil.com "
        "gmail.co gmail.cm gmail.om gmail.con gmail.cim gmail.cmo gimail.com ggmail.com",
        "hotmail.com": "hotmial.com hotmal.com hotmil.com hotmai.com hotmaill.com hotmail.co "
        "hotmail.cm homail.com hotamil.com",
        "yahoo.com": "yaho.com yahooo.com yhaoo.com yahoo.co yahoo.cm yaoo.com",
        "outlook.com": "outlok.com outllok.com outlook.co outlook.cm outook.com oulook.com",
        "icloud.com": "iclould.com icoud.com icloud.co",
        "163.com": "163.cm 163.co 163.cn 16.com",
        "126.com": "126.cm 126.co",
        "qq.com": "qq.cm qq.co qq.cn",
        "foxmail.com": "foxmial.com foxmai.com",
    }.items()
    for slip in slips.split()
}
# Endings no registry has, each one slip from one that everybody has.
_ENDINGS: Final = {
    "con": "com", "cmo": "com", "ocm": "com", "cpm": "com", "xom": "com", "vom": "com",
    "comm": "com", "coom": "com", "cim": "com", "com1": "com", "nte": "net", "met": "net",
    "nett": "net", "ogr": "org", "orgg": "org", "rog": "org", "prg": "org", "eud": "edu",
    "deu": "edu", "couk": "co.uk", "comcn": "com.cn", "cnn": "cn",
}  # fmt: skip


def _ending_slip(domain: str) -> str:
    head, dot, ending = domain.rpartition(".")
    meant = _ENDINGS.get(ending)
    return f"{head}{dot}{meant}" if meant else ""
