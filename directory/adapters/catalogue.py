"""The texts of pages and mails in the reader's language: gettext, the English sentence as key.

The catalogue is read from its .po file at start, so there is no compiled file to forget.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations
from importlib.resources import files

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

# The language tag to gettext's name for it. English is the key itself.
CATALOGUES = {"zh-Hans": "zh_Hans"}


@cache
def catalogue(language: str) -> GNUTranslations | None:
    """The texts of *language*; None for the language the keys are written in."""
    if language not in CATALOGUES:
        return None
    folder = files("directory") / "translations" / CATALOGUES[language] / "LC_MESSAGES"
    with (folder / "messages.po").open("rb") as file:
        texts = read_po(file, locale=CATALOGUES[language])
    compiled = io.BytesIO()
    write_mo(compiled, texts)
    compiled.seek(0)
    return GNUTranslations(compiled)


def gettext(language: str, text: str) -> str:
    """*text*, an English sentence of ours, in *language*."""
    found = catalogue(language)
    return found.gettext(text) if found else text


def ngettext(language: str, one: str, many: str, count: int) -> str:
    """*one* or *many*, as *count* and *language* want it."""
    found = catalogue(language)
    if found:
        return found.ngettext(one, many, count)
    return one if count == 1 else many


def gettext_for(current: Callable[[], str]) -> Callable[[str], str]:
    """``_()`` for templates, in the language *current* names at each call."""
    return lambda text: gettext(current(), text)
