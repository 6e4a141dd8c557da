"""What machines ask for: sitemaps, robots, search from the address bar, security, icon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Final

from flask import Blueprint, Response, abort, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import escape

from directory.adapters.queries import Published
from directory.adapters.tree import count_departments, last_change, slugs_changed
from directory.domain.contacts import PointKind, localised
from directory.settings import SECURITY_TXT_DAYS
from directory.web import assets
from directory.web.context import _, db, now, parts, settings
from directory.web.fragments import kept

bp = Blueprint("machines", __name__)

# A sitemap holds at most 50,000 addresses and 50 MB (sitemaps.org); each department is one for
# each language, of some 600 bytes with its alternates.
DEPARTMENTS_A_SITEMAP: Final = 20_000
# What is not for search engines: one person's pages, staff, frames on other sites.
_DISALLOWED: Final = ("/e/", "/a/", "/v/", "/u/", "/admin/", "/embed/")
_PAGES: Final = (
    "public.home",
    "public.departments",
    "public.topics",
    "public.privacy",
    "public.accessibility",
)
_SHORTEST_NAME: Final = 16  # characters of an OpenSearch ShortName


def absolute(path: str) -> str:
    """*path* as the world writes it."""
    return settings().site.base_url + path


# Sitemaps


@bp.get("/sitemap.xml")
@kept
def sitemap() -> ResponseReturnValue:
    """Every public page in every language; of a very long directory the list of its parts."""
    with db().reading() as session:
        total = count_departments(session)
        changed = last_change(session)
        if total <= DEPARTMENTS_A_SITEMAP:
            return _xml(_urlset(slugs_changed(session, limit=total), fixed=True))
    said = f"<lastmod>{changed:%Y-%m-%d}</lastmod>" if changed else ""
    addresses = [
        absolute(url_for("machines.sitemap_part", number=number + 1))
        for number in range(-(-total // DEPARTMENTS_A_SITEMAP))
    ]
    return _xml(
        [
            '<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
            *(f"<sitemap><loc>{escape(loc)}</loc>{said}</sitemap>" for loc in addresses),
            "</sitemapindex>",
        ]
    )


@bp.get("/sitemap-<int:number>.xml")
@kept
def sitemap_part(number: int) -> ResponseReturnValue:
    first = (number - 1) * DEPARTMENTS_A_SITEMAP
    with db().reading() as session:
        total = count_departments(session)
        if number < 1 or first >= total or total <= DEPARTMENTS_A_SITEMAP:
            abort(404)
        rows = slugs_changed(session, limit=DEPARTMENTS_A_SITEMAP, offset=first)
        return _xml(_urlset(rows, fixed=number == 1))


def _urlset(rows: Iterable[tuple[str, datetime]], *, fixed: bool) -> Iterator[str]:
    yield (
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        'xmlns:xhtml="http://www.w3.org/1999/xhtml">'
    )
    if fixed:
        for endpoint in _PAGES:
            yield from _urls({tag: url_for(endpoint, lang=tag) for tag in _languages()}, "")
    # url_for costs ten times the rest of a line, and a slug needs no escaping.
    paths = {tag: url_for("public.department", lang=tag, slug="-") for tag in _languages()}
    for slug, changed in rows:
        there = {tag: path[:-1] + slug for tag, path in paths.items()}
        yield from _urls(there, f"{changed:%Y-%m-%d}")
    yield "</urlset>"


def _urls(paths: dict[str, str], changed: str) -> Iterator[str]:
    """One page in each language, each naming all of them (Google's rules for hreflang)."""
    links = {tag: str(escape(absolute(path))) for tag, path in paths.items()}
    default = links[_languages()[0]]
    alternates = "".join(
        f'<xhtml:link rel="alternate" hreflang="{tag}" href="{link}"/>'
        for tag, link in [*links.items(), ("x-default", default)]
    )
    said = f"<lastmod>{changed}</lastmod>" if changed else ""
    for link in links.values():
        yield f"<url><loc>{link}</loc>{said}{alternates}</url>"


def _languages() -> tuple[str, ...]:
    return settings().site.languages


def _xml(lines: Iterable[str]) -> Response:
    text = "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *lines, ""])
    response = Response(text, content_type="application/xml; charset=utf-8")
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response


# Robots, search engines, browsers


@bp.get("/robots.txt")
def robots() -> ResponseReturnValue:
    root = request.script_root
    lines = ["User-agent: *", *(f"Disallow: {root}{path}" for path in _DISALLOWED), ""]
    lines.append(f"Sitemap: {absolute(url_for('machines.sitemap'))}")
    return _text(lines)


@bp.get("/<lang:lang>/opensearch.xml")
def opensearch(lang: str) -> ResponseReturnValue:
    """How a browser searches here from its address bar (OpenSearch 1.1)."""
    name = localised(settings().site.name, lang)[0]
    short = name if len(name) <= _SHORTEST_NAME else name[: _SHORTEST_NAME - 1] + "…"
    search = absolute(url_for("public.home", lang=lang)) + "search?q={searchTerms}"
    about = _("Departments, topics and phone numbers of %(name)s", name=name)
    response = _xml(
        [
            '<OpenSearchDescription xmlns="http://a9.com/-/spec/opensearch/1.1/">',
            f"<ShortName>{escape(short)}</ShortName>",
            f"<Description>{escape(about)}</Description>",
            f'<Url type="text/html" template="{escape(search)}"/>',
            f'<Image height="32" width="32" type="image/x-icon">{escape(absolute("/favicon.ico"))}'
            "</Image>",
            f"<Language>{lang}</Language>",
            "<InputEncoding>UTF-8</InputEncoding>",
            "</OpenSearchDescription>",
        ]
    )
    response.content_type = "application/opensearchdescription+xml; charset=utf-8"
    return response


@bp.get("/.well-known/security.txt")
def security() -> ResponseReturnValue:
    """Whom to tell of a weakness (RFC 9116)."""
    with db().reading() as session:
        contact = _security_contact(parts().published(session, now()))
    midnight = datetime.combine(now().astimezone(UTC).date(), time(), UTC)
    tags = ["zh" if tag == "zh-Hans" else tag for tag in _languages()]
    return _text(
        [
            f"Contact: {contact}",
            f"Expires: {midnight + timedelta(SECURITY_TXT_DAYS):%Y-%m-%dT%H:%M:%SZ}",
            f"Preferred-Languages: {', '.join(tags)}",
            f"Canonical: {absolute(url_for('machines.security'))}",
        ]
    )


def _security_contact(published: Published) -> str:
    """The address for privacy, else the desk's mailbox, else the page with everything."""
    desk = published.known(published.desk)
    mailboxes = desk.public_points(PointKind.EMAIL) if desk else []
    address = settings().privacy.dpo or (mailboxes[0].value if mailboxes else "")
    if address.isascii() and address:
        return f"mailto:{address}"
    return absolute(url_for("public.home", lang=_languages()[0]))


@bp.get("/favicon.ico")
def favicon() -> ResponseReturnValue:
    return assets.send_asset("favicon.ico")


def _text(lines: Iterable[str]) -> Response:
    response = Response("\n".join([*lines, ""]), content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response
