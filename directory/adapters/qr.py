"""QR codes as the one path of an SVG drawing, and the card small enough for one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import segno

from directory.adapters.formats import Site
from directory.domain.contacts import PHONE_KINDS, Department, PointKind, localised
from directory.domain.numbers import PhoneNumber

# More than this and the squares become too small for a phone held over paper.
MOST_BYTES = 300
_EASY_BYTES = 180
# Quiet zone around the code, in modules (ISO/IEC 18004 section 9.1).
QUIET = 4


@dataclass(frozen=True, slots=True)
class QrCode:
    """``path`` draws the dark modules as strokes one unit thick, in a square of ``size`` units."""

    path: str
    size: int


# Eight patterns are tried and judged to find the one read best: some 15 ms, and more than the
# rest of a page. An address changes hardly ever, so an edit of the directory need not do it again.
@lru_cache(maxsize=1_024)
def qr_code(text: str) -> QrCode:
    """*text* (as UTF-8) as a QR code that a smudge of 7 % does not spoil.

    Stronger correction is taken where it costs no larger code.
    """
    code = segno.make_qr(text, error="l", boost_error=True, encoding="utf-8")
    # Each move is told from where the last stroke ended: half the length of telling places.
    path = f"M{QUIET} {QUIET + 0.5:g}"
    at_x, at_y = 0, 0
    for y, row in enumerate(code.matrix):
        x = 0
        while x < len(row):
            run = x
            while run < len(row) and row[run] == row[x]:
                run += 1
            if row[x]:
                path += f"m{x - at_x} {y - at_y}h{run - x}"
                at_x, at_y = run, y
            x = run
    return QrCode(path, len(code.matrix) + 2 * QUIET)


def svg_file(code: QrCode, title: str) -> str:
    """The code as a file of its own; *title* is what it says to who cannot see it."""
    escaped = title.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {code.size} {code.size}" '
        f'width="{code.size * 6}" height="{code.size * 6}" role="img">'
        f"<title>{escaped}</title>"
        f'<path fill="#fff" d="M0 0h{code.size}v{code.size}H0z"/>'
        f'<path stroke="#000" d="{code.path}"/></svg>\n'
    )


def small_card(department: Department, site: Site, language: str) -> str:
    """A vCard 3.0 of at most 300 bytes; "" where even the shortest is longer.

    Unfolded, because scanners in phones do not put folded lines together. Its name and one way to
    reach it are the card; page, second number and institution are left out, in this order, where
    they do not fit, the page sooner: a smaller code is read from further away. A fax is not in
    it, for nobody faxes from a phone.
    """
    name = localised(department.name, language)[0]
    ways = [
        *(
            f"TEL;TYPE=WORK,VOICE:{_number(point.value, point.extension)}"
            for point in department.public_points(*PHONE_KINDS - {PointKind.FAX})
        ),
        *(f"EMAIL:{point.value}" for point in department.public_points(PointKind.EMAIL)),
    ]
    if not ways:
        return ""
    page = f"URL:{site.page(department.slug, language)}"
    institution = f"ORG:{_escaped(localised(site.name, language)[0])}"
    first_mailbox = [way for way in ways if way.startswith("EMAIL")][:1]
    fewer = list(dict.fromkeys([ways[0], *first_mailbox]))
    for limit, lines in (
        (_EASY_BYTES, [institution, *ways, page]),
        (MOST_BYTES, [institution, *ways]),
        (MOST_BYTES, [institution, *fewer]),
        (MOST_BYTES, fewer),
        (MOST_BYTES, ways[:1]),
    ):
        card = "\r\n".join(
            [
                "BEGIN:VCARD",
                "VERSION:3.0",
                f"N:{_escaped(name)};;;;",
                f"FN:{_escaped(name)}",
                *lines,
                "END:VCARD",
            ]
        )
        if len(card.encode()) <= limit:
            return card
    return ""


def _number(value: str, extension: str) -> str:
    if not value.startswith("+"):
        return value
    number = PhoneNumber(value, extension)
    return number.international + (f" x{extension}" if extension else "")


def _escaped(text: str) -> str:
    return re.sub(r"([\\,;])", r"\\\1", text)
