"""HTML read for what it shows, each character with its place in the input.

Not a tree builder: a contact page's text, its lines, cells and headings are enough, and every
library that builds a tree forgets where things stood. The tokens are those of the HTML standard
(https://html.spec.whatwg.org/multipage/parsing.html), so a tag that never ends swallows the rest
just as in a browser. Every step moves forward, so the time is linear in the input whatever it
holds; open elements are popped at most once each.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from directory.adapters.extract.page import CELL, LINE, Builder, Cell, Embedded, Link, Page

_TAG: Final = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_BLANKS: Final = re.compile(r"[\s/]*")
# A "=" where a name should begin is part of the name.
_NAME: Final = re.compile(r"(=?[^\s/>=]*)(\s*=\s*)?")
_UNQUOTED: Final = re.compile(r"[^\s>]*")
_TEXT: Final = re.compile(
    r"[^ \t\n\r\f&]+(?: [^ \t\n\r\f&]+)*"
    r"|[ \t\n\r\f]+"
    r"|&(?:#[0-9]{1,7};?|#[xX][0-9a-fA-F]{1,6};?|[a-zA-Z][a-zA-Z0-9]{1,31};?)?"
)

_VOID: Final = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    ]
)
# Their content is no text of the page.
_SILENT: Final = frozenset(
    [
        "script",
        "style",
        "template",
        "iframe",
        "noembed",
        "noframes",
        "object",
        "svg",
        "math",
        "select",
        "datalist",
    ]
)
_RAW: Final = frozenset(
    ["script", "style", "iframe", "noembed", "noframes", "textarea", "title", "xmp"]
)
_STRUCK: Final = frozenset(("del", "s", "strike"))
_BLOCK: Final = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "hr",
        "html",
        "legend",
        "li",
        "main",
        "menu",
        "nav",
        "ol",
        "optgroup",
        "option",
        "p",
        "pre",
        "search",
        "section",
        "summary",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "tr",
        "caption",
        "ul",
        "select",
    ]
)
_PARAGRAPH: Final = frozenset(
    [
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "ul",
        "ol",
        "dl",
        "table",
        "section",
        "article",
        "aside",
        "blockquote",
        "fieldset",
    ]
)
_HEADING: Final = frozenset(
    ["h1", "h2", "h3", "h4", "h5", "h6", "caption", "legend", "summary", "figcaption"]
)
_CLOSES: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    # What a start tag ends by itself, and where looking for it stops.
    "li": (frozenset(("li",)), frozenset(("ul", "ol", "menu"))),
    "dt": (frozenset(("dt", "dd")), frozenset(("dl",))),
    "dd": (frozenset(("dt", "dd")), frozenset(("dl",))),
    "tr": (frozenset(("tr", "td", "th")), frozenset(("table",))),
    "td": (frozenset(("td", "th")), frozenset(("tr", "table"))),
    "th": (frozenset(("td", "th")), frozenset(("tr", "table"))),
    "option": (frozenset(("option",)), frozenset(("select",))),
}
_HIDDEN_CLASSES: Final = frozenset(
    ("hidden", "hide", "is-hidden", "d-none", "invisible", "nodisplay")
)


@dataclass(slots=True)
class _Element:
    name: str
    hidden: bool
    backwards: bool
    start: int
    marks: tuple[str, ...] = ()
    link: tuple[str, str, tuple[int, int]] | None = None
    cell: tuple[int, int, int, bool] | None = None


@dataclass(slots=True)
class _Table:
    number: int
    row: int = -1
    column: int = -1


@dataclass(slots=True)
class _Reader:
    source: str
    builder: Builder
    stack: list[_Element] = field(default_factory=list)
    open: dict[str, int] = field(default_factory=dict)
    tables: list[_Table] = field(default_factory=list)
    table_count: int = 0
    marks: list[tuple[str, int, int]] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    data: list[Embedded] = field(default_factory=list)
    rules: dict[str, set[str]] = field(default_factory=dict)
    backwards: list[tuple[str, int, int]] = field(default_factory=list)
    language: str = ""
    pending: int = 0

    @property
    def hidden(self) -> bool:
        return bool(self.stack) and self.stack[-1].hidden


def looks_like_html(source: str) -> bool:
    """Whether *source* is markup: it has tags that pages are made of."""
    return (
        re.search(
            r"<(?:!doctype|html|head|body|div|p|br|a|table|tr|td|ul|li|span|dl|h[1-6]|address|section"
            r"|footer|strong|b|script|meta|dt|dd)(?:\s[^<]*?)?/?>",
            source[:100_000],
            re.IGNORECASE,
        )
        is not None
    )


def read_html(source: str) -> Page:
    """The visible text of *source*, its cells, headings, links and embedded data."""
    reader = _Reader(source, Builder(source))
    position, size = 0, len(source)
    while position < size:
        opens = source.find("<", position)
        if opens < 0:
            _text(reader, position, size)
            break
        if opens > position:
            _text(reader, position, opens)
        position = _markup(reader, opens)
    while reader.stack:
        _pop(reader)
    page = reader.builder.page()
    page.markup = True
    page.marks, page.cells = reader.marks, reader.cells
    page.links, page.data, page.language = reader.links, reader.data, reader.language
    return page


def _markup(reader: _Reader, at: int) -> int:
    """Read what begins with the "<" at *at*; where reading goes on."""
    source = reader.source
    if source.startswith("<!--", at):
        # "<!-->" and "<!--->" are whole comments; one without an end hides the rest.
        end = source.find("-->", at + 2)
        return len(source) if end < 0 else end + 3
    tag = _TAG.match(source, at)
    if tag is None:
        if source[at + 1 : at + 2] in ("!", "?", "/"):
            end = source.find(">", at)
            return len(source) if end < 0 else end + 1
        _text(reader, at, at + 1)
        return at + 1
    name = tag[2].lower()
    attributes, position = _attributes(source, tag.end())
    if position < 0:
        return len(source)
    if tag[1]:
        _end_tag(reader, name)
        return position
    _start_tag(reader, name, attributes, at, position)
    if name in _RAW:
        return _raw(reader, name, attributes, position)
    return position


_Attributes = dict[str, tuple[str, int, int]]


def _attributes(source: str, position: int) -> tuple[_Attributes, int]:
    """The attributes of a tag with their places, and the place after its ">" (-1: no end)."""
    found: _Attributes = {}
    size = len(source)
    while True:
        position = _end(_BLANKS, source, position)
        if position >= size:
            return found, -1
        if source[position] == ">":
            return found, position + 1
        name = _NAME.match(source, position)
        if name is None:
            return found, -1
        position = name.end()
        value, start = "", position
        if name[2] is not None:
            quote = source[position : position + 1]
            if quote and quote in "\"'":
                start, end = position + 1, source.find(quote, position + 1)
                if end < 0:
                    return found, -1
                position = end + 1
            else:
                start, end = position, _end(_UNQUOTED, source, position)
                position = end
            value = source[start:end]
        found.setdefault(name[1].lower(), (value, start, start + len(value)))


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _value(attributes: _Attributes, name: str) -> str:
    return html.unescape(attributes[name][0]) if name in attributes else ""


def _raw(reader: _Reader, name: str, attributes: _Attributes, position: int) -> int:
    """Skip to the end tag of an element whose content is not markup."""
    source = reader.source
    closing = re.compile(rf"</{name}[\s/>]", re.IGNORECASE).search(source, position)
    end = closing.start() if closing else len(source)
    if name == "script" and "ld+json" in _value(attributes, "type").lower():
        reader.data.append(Embedded(source[position:end], (position, end)))
    elif name == "style":
        _learn(reader, source[position : min(end, position + 100_000)])
    return end


# ------------------------------------------------------------------ what is not to be seen


def _learn(reader: _Reader, css: str) -> None:
    """Take from a style sheet which plain classes and ids are hidden or run backwards.

    Only rules that hold everywhere: what stands in "@media print" is no business of the screen.
    """
    depth = 0
    for chunk in _without_comments(css).split("}"):
        *outer, declarations = chunk.split("{")
        if not outer:
            depth = max(0, depth - 1)
            continue
        depth += len(outer) - 1
        selectors, effect = outer[-1], _effect(declarations)
        if depth or not effect or "@" in selectors or len(selectors) > 500:
            continue
        for selector in selectors.split(","):
            if re.fullmatch(r"(?:[a-zA-Z]+)?[.#][\w-]+", selector := selector.strip()):
                plain = selector[selector.index("." if "." in selector else "#") :]
                reader.rules.setdefault(plain, set()).update(effect)


def _without_comments(css: str) -> str:
    first, *commented = css.split("/*")
    return first + "".join(it.partition("*/")[2] for it in commented)


def _effect(style: str) -> set[str]:
    style = re.sub(r"\s+", "", style.lower())
    effect: set[str] = set()
    if (
        "display:none" in style
        or "visibility:hidden" in style
        or re.search(r"font-size:0(?:px|em|rem|pt|%)?(?:;|!|$)", style)
    ):
        effect.add("hidden")
    if "unicode-bidi:bidi-override" in style or "unicode-bidi:isolate-override" in style:
        effect.add("override")
    if "direction:rtl" in style:
        effect.add("rtl")
    return effect


def _look(reader: _Reader, name: str, attributes: _Attributes) -> tuple[bool, bool]:
    """Whether an element is hidden, and whether its text runs backwards."""
    effect = _effect(_value(attributes, "style")) if "style" in attributes else set()
    classes = _value(attributes, "class").split() if "class" in attributes else []
    if reader.rules:
        for selector in (*(f".{it}" for it in classes), f"#{_value(attributes, 'id')}"):
            effect |= reader.rules.get(selector, set())
    # "d-none d-md-block" is shown on a wider screen.
    utility = any(it in _HIDDEN_CLASSES for it in classes) and not any(
        ":" in it or re.match(r"d-\w+-", it) for it in classes
    )
    hidden = "hidden" in effect or "hidden" in attributes or utility or name in _STRUCK
    rtl = "rtl" in effect or _value(attributes, "dir").lower() == "rtl"
    override = "override" in effect or name == "bdo"
    return hidden, override and rtl


# ------------------------------------------------------------------ elements


def _start_tag(reader: _Reader, name: str, attributes: _Attributes, at: int, after: int) -> None:
    if name == "br":
        if not reader.hidden:
            if reader.pending:
                _flush(reader)
            reader.builder.add_made(LINE, at, after)
        return
    if name == "html" and "lang" in attributes:
        reader.language = _value(attributes, "lang")
    if name in _BLOCK and reader.open.get("p"):
        _close_until(reader, frozenset(("p",)), frozenset(("td", "th", "table", "div", "button")))
    if name in _CLOSES:
        _close_until(reader, *_CLOSES[name])
    if name in _BLOCK:
        _soft_break(reader, name)
    if "data-cfemail" in attributes:
        _decoded_mail(reader, attributes["data-cfemail"])
    if name in ("svg", "math") and reader.source[after - 2] == "/":
        return
    if "itemprop" in attributes and "content" in attributes and not reader.hidden:
        _machine_value(reader, attributes)
    if name in _VOID:
        if name == "img" and not reader.hidden:
            _picture(reader, attributes)
        return
    hidden, backwards = _look(reader, name, attributes)
    parent = reader.stack[-1] if reader.stack else None
    element = _Element(
        name,
        hidden=hidden
        or "data-cfemail" in attributes  # "[email protected]" stands in for what was decoded
        or name in _SILENT
        or name in ("title", "textarea")
        or (parent is not None and parent.hidden),
        backwards=backwards or (parent is not None and parent.backwards and name != "bdi"),
        start=reader.builder.length,
        marks=_meanings(name, attributes),
    )
    if name == "a" and "href" in attributes:
        element.link = _link(attributes["href"])
        if "cdn-cgi/l/email-protection#" in attributes["href"][0] and not _has_cfemail_inside(
            reader.source, after
        ):
            value, start, end = attributes["href"]
            decoded = _cloudflare(value.rpartition("#")[2])
            if decoded:
                element.link = ("mailto", decoded, (start, end))
    if name == "table":
        reader.tables.append(_Table(reader.table_count))
        reader.table_count += 1
    elif name == "tr" and reader.tables:
        reader.tables[-1].row += 1
        reader.tables[-1].column = -1
    elif name in ("td", "th") and reader.tables:
        table = reader.tables[-1]
        if table.column >= 0 and not element.hidden:
            # Beside its neighbour, whatever blocks stand inside.
            reader.pending = 0
            reader.builder.add_made(CELL, at, at + 1)
            element.start = reader.builder.length
        table.column += 1
        element.cell = (table.number, table.row, table.column, name == "th")
    reader.stack.append(element)
    reader.open[name] = reader.open.get(name, 0) + 1


def _has_cfemail_inside(source: str, after: int) -> bool:
    return "data-cfemail" in source[after : after + 300].split("</a", 1)[0]


_PROPERTIES: Final = {"telephone": "tel", "faxNumber": "fax", "email": "mailto"}


def _machine_value(reader: _Reader, attributes: _Attributes) -> None:
    """A value for machines alone: <meta itemprop="telephone" content="+44…">."""
    value, start, end = attributes["content"]
    for prop in _value(attributes, "itemprop").split():
        if prop in _PROPERTIES and value:
            at = reader.builder.length
            scheme = _PROPERTIES[prop]
            reader.links.append(Link(scheme, html.unescape(value), at, at, (start, end)))


def _meanings(name: str, attributes: _Attributes) -> tuple[str, ...]:
    meanings = []
    if name in _HEADING:
        meanings.append("heading")
    elif name in ("strong", "b", "dt"):
        meanings.append("bold")
    if name == "address":
        meanings.append("address")
    if name in ("li", "article", "dd", "section", "fieldset", "td", "tr", "footer"):
        meanings.append(name)
    if "itemscope" in attributes:
        kind = _value(attributes, "itemtype").rpartition("/")[2]
        meanings.append("card" if kind != "PostalAddress" else "address")
    if "itemprop" in attributes:
        meanings += [f"prop:{it}" for it in _value(attributes, "itemprop").split()]
    if "class" in attributes:
        classes = set(_value(attributes, "class").split())
        if classes & {"vcard", "h-card"}:
            meanings.append("card")
        if classes & {"adr", "h-adr", "p-adr"}:
            meanings.append("address")
        meanings += [f"prop:{_HCARD[it]}" for it in classes if it in _HCARD]
    return tuple(meanings)


_HCARD: Final = {
    "fn": "name",
    "p-name": "name",
    "p-org": "name",
    "org": "name",
    "tel": "telephone",
    "p-tel": "telephone",
    "p-tel-fax": "faxNumber",
    "fax": "faxNumber",
    "email": "email",
    "u-email": "email",
}


def _link(href: tuple[str, int, int]) -> tuple[str, str, tuple[int, int]] | None:
    value, start, end = href
    scheme, colon, rest = html.unescape(value).strip().partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in ("tel", "mailto", "callto", "fax"):
        return None
    return scheme, unquote(rest.partition("?")[0] if scheme == "mailto" else rest), (start, end)


def _end_tag(reader: _Reader, name: str) -> None:
    if name == "p" and not reader.open.get("p"):
        _soft_break(reader, "p")
        return
    if not reader.open.get(name):
        return
    while reader.stack:
        popped = _pop(reader)
        if popped.name == name:
            break


def _close_until(reader: _Reader, names: frozenset[str], stop: frozenset[str]) -> None:
    """Pop up to the element of *names* nearest to the top, if no *stop* lies above it."""
    depth = None
    for n in range(1, min(len(reader.stack), 64) + 1):
        name = reader.stack[-n].name
        if name in names:
            depth = n
            if name in ("tr", "p", "li", "option"):
                break
        elif name in stop:
            break
    for _ in range(depth or 0):
        _pop(reader)


def _pop(reader: _Reader) -> _Element:
    element = reader.stack.pop()
    reader.open[element.name] -= 1
    if element.backwards and not (reader.stack and reader.stack[-1].backwards):
        for character, begins, ends in reversed(reader.backwards):
            reader.builder.add_made(character, begins, ends)
        reader.backwards = []
    start, end = element.start, reader.builder.length
    if not element.hidden:
        if element.link is not None and element.link[1]:
            scheme, value, place = element.link
            reader.links.append(Link(scheme, value, start, end, place))
        for meaning in element.marks:
            reader.marks.append((meaning, start, end))
        if element.cell is not None:
            table, row, column, header = element.cell
            reader.cells.append(Cell(table, row, column, start, end, header))
    if element.name == "table" and reader.tables:
        reader.tables.pop()
    if element.name in _BLOCK:
        _soft_break(reader, element.name)
    return element


def _soft_break(reader: _Reader, name: str) -> None:
    """A block begins or ends: breaks of neighbouring blocks are one, and none opens the page."""
    if not reader.hidden:
        reader.pending = max(reader.pending, 2 if name in _PARAGRAPH else 1)


def _text(reader: _Reader, start: int, end: int) -> None:
    """Visible text; blanks in the source count as one, as they do on the screen."""
    if reader.hidden:
        return
    source, builder = reader.source, reader.builder
    backwards = bool(reader.stack) and reader.stack[-1].backwards
    if not backwards and "&" not in (piece := source[start:end]) and piece.isspace():
        if not reader.pending and builder.last not in ("", " ", LINE, CELL):
            builder.add_made(" ", start, start + 1)
        return
    for token in _TEXT.finditer(source, start, end):
        characters = token[0]
        first, last = token.span()
        if characters[0] in " \t\n\r\f":
            if not backwards and (reader.pending or builder.last in ("", " ", LINE, CELL)):
                continue
            characters = " "
        elif characters[0] == "&":
            characters = html.unescape(characters)
        if reader.pending and not backwards:
            _flush(reader)
        if backwards:
            reader.backwards += _places(characters, token[0], first, last)
        elif characters == token[0]:
            builder.add(characters, first)
        else:
            builder.add_made(characters, first, last)


def _places(characters: str, raw: str, first: int, last: int) -> list[tuple[str, int, int]]:
    if characters == raw:
        return [(it, first + n, first + n + 1) for n, it in enumerate(characters)]
    return [(it, first, last) for it in characters]


def _flush(reader: _Reader) -> None:
    if reader.builder.length:
        if reader.builder.last != LINE:
            reader.builder.add_made(LINE, 0, 0)
        if reader.pending > 1:
            reader.builder.add_made(LINE, 0, 0)
    reader.pending = 0


def _picture(reader: _Reader, attributes: _Attributes) -> None:
    """A picture's words stand for it where they are all there is: "Fax" beside a number."""
    if "alt" in attributes:
        value, start, end = attributes["alt"]
        text = html.unescape(value).strip()
        if 0 < len(text) <= 30 and not any(map(str.isdigit, text)):
            if reader.pending:
                _flush(reader)
            reader.builder.add_made(f" {text} ", start, end)


# ------------------------------------------------------------------ addresses that were scrambled


def _decoded_mail(reader: _Reader, attribute: tuple[str, int, int]) -> None:
    value, start, end = attribute
    decoded = _cloudflare(value)
    if decoded and not reader.hidden:
        if reader.pending:
            _flush(reader)
        reader.builder.add_made(decoded, start, end)


def _cloudflare(code: str) -> str:
    """Cloudflare's e-mail protection: the first byte is XORed on each that follows."""
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2}){4,200}", code):
        return ""
    raw = bytes.fromhex(code)
    return bytes(it ^ raw[0] for it in raw[1:]).decode("utf-8", errors="replace")
