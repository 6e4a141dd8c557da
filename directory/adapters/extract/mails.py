"""Mail addresses as they stand on pages, open or dressed up against collectors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from directory.adapters.extract.lexicon import Label, labels


@dataclass(frozen=True, slots=True)
class FoundMail:
    address: str
    start: int
    end: int


_LOCAL: Final = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._%+&'=~-]{0,62}[A-Za-z0-9_+-])?)(\s{0,2})$")
_LOCAL_ANY: Final = re.compile(r"(?:^|[\s:,;<(\[|])([\w](?:[\w.+-]{0,60}\w)?)$")
_BRACES: Final = re.compile(
    r"[{\[(]([A-Za-z0-9._+-]{1,40}(?:\s*[,;|]\s*[A-Za-z0-9._+-]{1,40}){1,7})[}\])]$"
)
_DOMAIN: Final = re.compile(
    r"(\s{0,2})((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\s?\.\s?){1,6}"
    r"(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,59}))(?![A-Za-z0-9-])"
)
_DOMAIN_ANY: Final = re.compile(r"(?:[^\W_](?:[\w-]{0,40}[^\W_])?\.){1,5}[^\W\d_]{2,24}(?![\w-])")
_FILES: Final = frozenset(
    ["png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "html", "htm", "php", "pdf", "ico"]
)
_NOT_DOMAINS: Final = frozenset(["e.g", "i.e"])

_AT_WORDS: Final = (
    r"at|ät|aet|æt|arroba|arobase|arobas|chez|kukac|malpa|małpa|zavin[aá]č|zavinac|afna|chiocciola"
    r"|собака|собачка|ат|apenstaartje|apestaartje|snabel-?a|kr[øo]llalfa|kissa|miukumauku"
    r"|miuku|papaki|παπάκι"
    r"|eta|et|à|a|aronde|strudel|shtrudel|klammeraffe|@|골뱅이|アットマーク|アット|圈a|艾特|在|nospam"
    r"|a\s?cong|a còng|majmun|маймуна|кльомба|monkey|afgrave"
    r"|coada de maimuta|อีเมล์|แอท|آت|שטרודל|ए[टट]|अैट"
)
_DOT_WORDS: Final = (
    r"dot|punkt|punkti|punto|ponto|point|pont|kropka|tečka|tecka|bodka|točka|tocka|точка|крапка"
    r"|piste|punct|nokta|puntu|prick|taškas|taskas|pika|τελεία|teleia|点|點|점|ドット|ch[ấa]m|titik"
    r"|จุด|نقطة|נקודה|बिंदु|\."
)
_AT: Final = re.compile(
    rf"\s?[(\[{{<|]\s?(?:{_AT_WORDS})\s?[)\]}}>|]\s?"
    r"|\s(?:at|AT|At|arroba|ARROBA|arobase|chez|kukac|małpa|malpa|собака|zavináč|chiocciola|ät|παπάκι)\s"
    r"|\s?(?:골뱅이|アットマーク|圈a|艾特)\s?"
    r"|(?<=\w)[_#*-](?:at|AT)[_#*-](?=\w)"
    r"|\s?(?:#|\*|★|☆|◎|●|■|△|☼|\[|\()\s?@\s?(?:#|\*|★|☆|◎|●|■|△|☼|\]|\))?\s?",
    re.IGNORECASE,
)
# Words of every day, too, which need more than themselves to be an "@".
_ALSO_WORDS: Final = frozenset(("at", "chez", "ät"))
_DOT: Final = (
    rf"(?:\s?[(\[{{<|]\s?(?:{_DOT_WORDS})\s?[)\]}}>|]\s?"
    r"|\s(?:dot|DOT|Dot|punkt|punto|ponto|point|kropka|tečka|точка|pont|punct|nokta)\s"
    r"|(?<=\w)[_#*-](?:dot|DOT)[_#*-](?=\w)|\.)"
)
_HIDDEN_LOCAL: Final = re.compile(
    rf"([A-Za-z0-9_+-]+(?:{_DOT}[A-Za-z0-9_+-]+){{0,4}})$", re.IGNORECASE
)
_HIDDEN_DOMAIN: Final = re.compile(
    rf"([A-Za-z0-9-]{{1,63}}(?:{_DOT}[A-Za-z0-9-]{{1,63}}){{1,5}})(?![A-Za-z0-9-])", re.IGNORECASE
)
_DOTS: Final = re.compile(_DOT, re.IGNORECASE)


def find_mails(text: str, region: str) -> list[FoundMail]:
    """The mail addresses in *text* (folded), in order."""
    found = [*_plain(text), *_dressed(text, region)]
    found.sort(key=lambda it: (it.start, -it.end))
    kept: list[FoundMail] = []
    for it in found:
        if (
            not kept
            or it.start >= kept[-1].end
            or (it.start, it.end) == (kept[-1].start, kept[-1].end)
        ):
            kept.append(it)
    return kept


def _plain(text: str) -> Iterator[FoundMail]:
    at = text.find("@")
    while at >= 0:
        yield from _around(text, at)
        at = text.find("@", at + 1)


def _around(text: str, at: int) -> Iterator[FoundMail]:
    window = text[max(0, at - 200) : at]
    domain = _DOMAIN.match(text, at + 1)
    if domain is None:
        yield from _international(text, at)
        return
    name = re.sub(r"\s", "", domain[2]).lower()
    if not _is_domain(name):
        # "@jitri.org. Tel" reads a sentence's end into the domain: try it without blanks.
        tight = re.compile(_DOMAIN.pattern.replace(r"\s?\.\s?", r"\.")).match(text, at + 1)
        if tight is None or not _is_domain(name := tight[2].lower()):
            return
        domain = tight
    elif " ." in domain[2] or ". " in domain[2]:
        tight = re.compile(_DOMAIN.pattern.replace(r"\s?\.\s?", r"\.")).match(text, at + 1)
        if tight is not None:
            domain, name = tight, tight[2].lower()
    if braces := _BRACES.search(window):
        inside = at - len(braces[0]) + 1
        for one in re.finditer(r"[A-Za-z0-9._+-]+", braces[1]):
            start = inside + one.start()
            yield FoundMail(f"{one[0]}@{name}", start, start + len(one[0]))
        return
    local = _LOCAL.search(window[-70:])
    if local is None or (local[2] and not domain[1] and len(local[2]) > 1):
        yield from _international(text, at)
        return
    start = at - len(local[0])
    if text[start - 1 : start] in ("@", "/") and start:
        token = text[max(0, start - 100) : start].split()
        if text[start - 1] == "@" or (token and "//" in token[-1]):
            return
    yield FoundMail(f"{local[1]}@{name}", start, domain.end())


def _international(text: str, at: int) -> Iterator[FoundMail]:
    local = _LOCAL_ANY.search(text[max(0, at - 64) : at])
    domain = _DOMAIN_ANY.match(text, at + 1)
    if local is not None and domain is not None and not (local[1] + domain[0]).isascii():
        yield FoundMail(f"{local[1]}@{domain[0].lower()}", at - len(local[1]), domain.end())


def _is_domain(name: str) -> bool:
    return name.rpartition(".")[2] not in _FILES and name not in _NOT_DOMAINS


def _dressed(text: str, region: str) -> Iterator[FoundMail]:
    for at in _AT.finditer(text):
        local = _HIDDEN_LOCAL.search(text[max(0, at.start() - 90) : at.start()])
        domain = _HIDDEN_DOMAIN.match(text, at.end())
        if local is None or domain is None:
            continue
        name = _DOTS.sub(".", domain[1]).lower()
        sign = at[0].strip()
        if not re.fullmatch(r"[a-z]{2,24}", name.rpartition(".")[2]) or not _is_domain(name):
            name, end = _shorter(domain, text)
            if not name:
                continue
        else:
            end = domain.end()
        start = at.start() - len(local[0])
        doubtful = sign.lower() in _ALSO_WORDS
        if doubtful and not (_dressed_dots(domain[1]) or _after_label(text, start, region)):
            continue
        if doubtful and "." in domain[1] and " " in domain[1] and not _dressed_dots(domain[1]):
            continue
        yield FoundMail(f"{_DOTS.sub('.', local[1])}@{name}", start, end)


def _shorter(domain: re.Match[str], text: str) -> tuple[str, int]:
    """The longest beginning of what follows that ends in a top-level domain."""
    parts = list(_DOTS.finditer(domain[1]))
    for last in reversed(parts[1:]):
        name = _DOTS.sub(".", domain[1][: last.start()]).lower()
        if re.fullmatch(r"[a-z]{2,24}", name.rpartition(".")[2]) and _is_domain(name):
            return name, domain.start() + last.start()
    return "", 0


def _dressed_dots(domain: str) -> bool:
    return any(it[0] != "." for it in _DOTS.finditer(domain))


def _after_label(text: str, start: int, region: str) -> bool:
    line = text[max(0, start - 40) : start].rpartition("\n")[2]
    found = labels(line, region)
    return bool(found) and found[-1].kind is Label.MAIL
