"""What every page is given, and every answer's headers: language, desk, theme, assets, policy."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, abort, g, request, url_for
from werkzeug.routing import BaseConverter

from directory.adapters.catalogue import gettext, ngettext
from directory.domain.contacts import LANGUAGES, localised
from directory.domain.errors import DirectoryError
from directory.web import operating, present
from directory.web.context import (
    SEGMENTS,
    TAGS,
    _,
    db,
    language,
    now,
    other_language,
    parts,
    settings,
    theme,
)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), "
        "usb=(), browsing-topics=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}

# Enough for 5,000 characters of any script percent-encoded, and for a text many times too long
# to come back whole with its error.
LARGEST_BODY = 512 * 1024
MOST_FIELDS = 200


class Language(BaseConverter):
    """``zh-hans`` in an address is "zh-Hans" in a view."""

    regex = "en|zh-hans"

    def to_python(self, value: str) -> str:
        return TAGS[value]

    def to_url(self, value: str) -> str:
        return SEGMENTS[value]


def install(app: Flask) -> None:
    """Give *app*'s pages their context and its answers their headers."""
    app.url_map.converters["lang"] = Language
    app.before_request(_refuse_odd_requests)
    app.after_request(_finish)
    app.context_processor(_context)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: gettext(language(), text),
        lambda one, many, count: ngettext(language(), one, many, count),
        newstyle=True,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["url"] = url_for


# Requests


def _refuse_odd_requests() -> None:
    """Unknown hosts 400, forms from elsewhere 403, bodies of too many parts 413."""
    if request.view_args and "lang" in request.view_args:
        g.language = request.view_args["lang"]
    if request.endpoint not in operating.ANY_HOST and not _is_our_host(request.host):
        abort(400)
    # No name or text of ours has it, and PostgreSQL takes it in no question.
    if "\0" in request.path:
        abort(404)
    if b"%00" in request.query_string:
        abort(400)
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    # The API has no cookie that a page elsewhere could borrow; and mail programs that run in a
    # browser unsubscribe from there, with a token that says all.
    if not request.path.startswith(("/api/", "/u/")) and not _is_own_form():
        abort(403)
    if request.content_length and request.content_length > LARGEST_BODY:
        abort(413)
    # Counted before it is parsed: a body of nothing but "&" makes a hundred thousand fields.
    if (
        request.mimetype == "application/x-www-form-urlencoded"
        and request.get_data(cache=True).count(b"&") >= MOST_FIELDS
    ):
        abort(413)


def _is_our_host(host: str) -> bool:
    site = settings().site
    name = urlsplit(f"//{host}").hostname or ""
    known = {urlsplit(site.base_url).hostname, *site.hosts}
    if name in known or host in site.hosts:
        return True
    return settings().env != "production" and (
        name in {"localhost", "::1"} or name.startswith("127.")
    )


def _is_own_form() -> bool:
    """By Sec-Fetch-Site, or Origin where that is absent; "null" is refused."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return True  # no browser: nothing that could be borrowed from a visitor
    base = urlsplit(settings().site.base_url)
    return origin in {f"{base.scheme}://{base.netloc}", f"{request.scheme}://{request.host}"}


def _finish(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if settings().site.base_url.startswith("https:"):
        response.headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Language", language())
        # A page depends on the visitor's theme; a shared cache must not hand it to another.
        response.headers.setdefault("Cache-Control", "private, no-cache")
    response.headers.pop("Server", None)
    return response


# Context of pages


def _context() -> dict[str, Any]:
    tag = language()
    site = settings().site
    return {
        "lang": tag,
        "other_lang": other_language(tag),
        "path_in": path_in,
        "theme": theme(),
        "site": {
            "name": localised(site.name, tag)[0],
            "tagline": _("Contact the institute"),
            "desk": desk(tag),
        },
        "footer": {
            "icp": site.footer.icp,
            "police": site.footer.police,
            "security_url": url_for("machines.security"),
        },
        "errors": [],
    }


def names() -> dict[str, str]:
    """The institution's name in each language."""
    return {tag: localised(settings().site.name, tag)[0] for tag in LANGUAGES}


def desk(tag: str) -> dict[str, Any] | None:
    """The desk's block in language *tag*; as last known while the database is away."""
    kept: dict[Any, Any] = parts().kept
    try:
        with db().reading() as session:
            published = parts().published(session, now())
        department = published.known(published.desk)
        zone = (department.timezone if department else "") or settings().site.timezone
        day = present.today_in(zone, now())
        if kept.get(("desk", tag), (None,))[0] != (published.key, day):
            block = present.desk(department, language=tag, now=now(), settings=settings())
            kept["desk", tag] = ((published.key, day), block)
    except DirectoryError:
        # The page being made may be the one that says so.
        if ("desk", tag) not in kept:
            return None
    found: dict[str, Any] | None = kept["desk", tag][1]
    return found


def last_known_desks() -> dict[str, Any]:
    """The desk in each language without asking the database."""
    kept = parts().kept
    return {tag: kept["desk", tag][1] for tag in LANGUAGES if ("desk", tag) in kept}


def path_in(tag: str) -> str:
    """This page's path in language *tag*, its query kept."""
    if request.view_args and "lang" in request.view_args and request.endpoint:
        path = url_for(request.endpoint, **{**request.view_args, "lang": tag})
        query = [(k, v) for k, v in request.args.items(multi=True) if k != "lang"]
    else:
        path = url_for("public.home", lang=tag)
        if request.method == "GET":
            path = request.script_root + request.path
        query = [(k, v) for k, v in request.args.items(multi=True) if k != "lang"]
        if path != "/" and not path.startswith(f"/{SEGMENTS[tag]}/"):
            query.append(("lang", SEGMENTS[tag]))
    return f"{path}?{urlencode(query)}" if query else path


def public_links(query: str = "") -> dict[str, Any]:
    """Canonical address and alternates of a page that search engines may keep."""
    base = settings().site.base_url
    assert request.endpoint is not None and request.view_args is not None

    def address(tag: str) -> str:
        path = url_for(str(request.endpoint), **{**(request.view_args or {}), "lang": tag})
        return f"{base}{path}?{query}" if query else base + path

    default = settings().site.languages[0]
    return {
        "canonical": address(language()),
        "alternates": [
            *({"lang": tag, "url": address(tag)} for tag in settings().site.languages),
            {"lang": "x-default", "url": address(default)},
        ],
    }


def link_headers(response: Response, links: dict[str, Any]) -> Response:
    """Say the alternates in the header too, for those who do not read the page."""
    for alternate in links["alternates"]:
        response.headers.add(
            "Link", f'<{alternate["url"]}>; rel="alternate"; hreflang="{alternate["lang"]}"'
        )
    return response


def own_path(target: str) -> str:
    """*target* if it is a path on this site, else the home page: no redirect leads elsewhere."""
    split = urlsplit(target)
    if (
        split.scheme
        or split.netloc
        or not target.startswith("/")
        or target.startswith(("//", "/\\"))
        or any(ord(character) < 0x21 for character in target)
    ):
        return url_for("public.root")
    return target
