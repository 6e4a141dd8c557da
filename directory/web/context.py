"""What a view needs to know of its request: the parts, the time, the language, the sender."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from typing import cast

from flask import Response, current_app, g, request

from directory.adapters.catalogue import gettext
from directory.adapters.db import Database
from directory.domain.contacts import LANGUAGES
from directory.parts import Parts
from directory.services.enquiries import Sender
from directory.settings import Settings

# A language as it stands in an address.
SEGMENTS = {"en": "en", "zh-Hans": "zh-hans"}
TAGS = {segment: tag for tag, segment in SEGMENTS.items()}


def parts() -> Parts:
    """Everything this process works with."""
    return cast(Parts, current_app.extensions["directory"])


def db() -> Database:
    return parts().db


def settings() -> Settings:
    return parts().settings


def now() -> datetime:
    """The instant of this request: one and the same however often it is asked for."""
    if "now" not in g:
        g.now = parts().now()
    return cast(datetime, g.now)


def language() -> str:
    """The language of the answer: the address says it, else the visitor's choice, else theirs."""
    if "language" not in g:
        first = request.path.split("/", 2)[1]
        g.language = TAGS.get(first) or preferred_language()
    return cast(str, g.language)


LANGUAGE_COOKIE = "directory_lang"
THEMES = ("light", "dark", "auto")
THEME_COOKIE = "directory_theme"
YEAR_S = 365 * 24 * 3600


def is_https() -> bool:
    """Whether visitors reach the service by TLS."""
    return settings().site.base_url.startswith("https:")


def cookie_name(name: str) -> str:
    """*name* as the browser holds it: bound to this host and to TLS where there is TLS."""
    return f"__Host-{name}" if is_https() else name


def read_cookie(name: str) -> str:
    """The value of our cookie *name*, "" without."""
    return request.cookies.get(cookie_name(name), "")


def keep_cookie(response: Response, name: str, value: str, *, seconds: int) -> None:
    """Give the browser a cookie of ours that no script reads and no other site sends along."""
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=seconds,
        path="/",
        secure=is_https(),
        httponly=True,
        samesite="Lax",
    )


def theme() -> str:
    """The colours this browser was told to keep to: "light", "dark" or "auto"."""
    chosen = read_cookie(THEME_COOKIE) or "auto"
    return chosen if chosen in THEMES else "auto"


def takes_gzip() -> bool:
    """Whether the answer may be compressed."""
    return request.accept_encodings.quality("gzip") > 0


def lasts_until(instant: datetime | None) -> None:
    """Say that what is being made for this request is true only until *instant*."""
    if instant is not None and instant < g.get("lasts_until", instant + timedelta(1)):
        g.lasts_until = instant


def preferred_language() -> str:
    """By ``?lang``, the cookie, Accept-Language, the site's first language, in this order."""
    offered = settings().site.languages
    for asked in (request.args.get("lang", ""), read_cookie(LANGUAGE_COOKIE)):
        tag = TAGS.get(asked.lower(), asked)
        if tag in offered:
            return tag
    for asked in request.accept_languages.values():
        if asked.lower().split("-")[0] == "zh" and "zh-Hans" in offered:
            return "zh-Hans"
        if asked.lower().split("-")[0] == "en" and "en" in offered:
            return "en"
    return offered[0]


def other_language(tag: str) -> str:
    return LANGUAGES[1 - LANGUAGES.index(tag)]


def _(text: str, **values: object) -> str:
    """*text* in the language of this request, its ``%(name)s`` filled in."""
    translated = gettext(language(), text)
    return translated % values if values else translated


def client_network(address: str) -> str:
    """The network an address is counted with: /24 for IPv4, /64 for IPv6."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    prefix = 24 if ip.version == 4 else 64
    return str(ipaddress.ip_network((ip, prefix), strict=False))


def sender() -> Sender:
    """Where this request comes from, as keyed hashes: no address is stored."""
    address = request.remote_addr or ""
    signer = parts().signer
    return Sender(
        address=signer.fingerprint("address", address),
        network=signer.fingerprint("network", client_network(address)),
    )
