"""A department to take along: vCard, jCard, JSON, QR code, and what search engines read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from directory.adapters.formats import FORMATS, Entry, Site
from directory.adapters.formats.documents import entry_json
from directory.adapters.formats.schema_org import institute, organization, safe_json
from directory.adapters.formats.vcard import Version, card_of, jcard_of, write_card
from directory.adapters.qr import qr_code, small_card, svg_file
from directory.adapters.queries import department_ever_called
from directory.domain.contacts import Department, DepartmentStatus, localised
from directory.services.exports import entry_of, site_of
from directory.web.context import db, lasts_until, now, settings
from directory.web.department_page import successor_of
from directory.web.fragments import kept

bp = Blueprint("cards", __name__)

VERSIONS: Final[dict[str, Version]] = {"3.0": "3.0", "4.0": "4.0"}


def site_now() -> Site:
    """What files say of this installation, at the time of this request."""
    return site_of(settings(), now())


# In the page itself


def save_view(department: Department, language: str) -> dict[str, Any]:
    """What the page offers to take along."""
    page = site_now().page(department.slug, language)
    return {
        "vcard_url": url_for("cards.vcard", lang=language, slug=department.slug),
        "code": qr_code(small_card(department, site_now(), language) or page),
        "page_code": qr_code(page),
    }


def department_data(entry: Entry, language: str) -> Markup:
    """The department in the terms of schema.org, for the page's script element."""
    value = json.loads("".join(institute([entry], site_now(), language)))
    return Markup(safe_json(value))  # noqa: S704 (nothing in it can end the element)


def home_data(desk: Entry | None, tree: Sequence[dict[str, Any]], language: str) -> Markup:
    """The institution: how it is reached, and its departments at the top."""
    site = site_now()
    value = json.loads("".join(institute([], site, language)))
    others = [name for name in site.name.values() if name and name != value["name"]]
    if others:
        value["alternateName"] = others
    if desk is not None:
        known = organization(desk, site, language, context=False)
        value |= {
            key: known[key] for key in ("contactPoint", "address", "location") if key in known
        }
    value["department"] = [
        {
            "@type": "Organization",
            "@id": site.page(unit["slug"], language),
            "name": unit["name"],
            "url": site.page(unit["slug"], language),
        }
        for unit in tree
    ]
    return Markup(safe_json(value))  # noqa: S704 (as above)


# Files


@bp.get("/<lang:lang>/departments/<slug>.vcf")
@kept
def vcard(lang: str, slug: str) -> ResponseReturnValue:
    """Version 4.0 in both languages, or 3.0 (Outlook, older phones) in the one of the path."""
    version = request.args.get("version", "4.0")
    if version not in VERSIONS:
        abort(400)
    entry = _entry(lang, slug)
    card = write_card(card_of(entry, site_now(), version=VERSIONS[version], language=lang))
    return _file(card, FORMATS["vcf"].media_type, entry, lang, "vcf", save=True)


@bp.get("/<lang:lang>/departments/<slug>.jcard")
@kept
def jcard(lang: str, slug: str) -> ResponseReturnValue:
    entry = _entry(lang, slug)
    text = json.dumps(jcard_of(card_of(entry, site_now(), language=lang)), ensure_ascii=False)
    return _file(text, FORMATS["jcard"].media_type, entry, lang, "jcard")


@bp.get("/<lang:lang>/departments/<slug>.json")
@kept
def as_json(lang: str, slug: str) -> ResponseReturnValue:
    """The department as the API has it."""
    entry = _entry(lang, slug)
    text = json.dumps(entry_json(entry, site_now()), ensure_ascii=False)
    return _file(text, "application/json; charset=utf-8", entry, lang, "json")


@bp.get("/<lang:lang>/departments/<slug>/qr.svg")
@kept
def qr(lang: str, slug: str) -> ResponseReturnValue:
    """The card as a QR code (or the page's address, where it is too long), or the address."""
    kind = request.args.get("kind", "vcard")
    if kind not in {"vcard", "url"}:
        abort(400)
    entry = _entry(lang, slug)
    card = small_card(entry.department, site_now(), lang) if kind == "vcard" else ""
    code = qr_code(card or site_now().page(slug, lang))
    title = localised(entry.department.name, lang)[0]
    return _file(svg_file(code, title), "image/svg+xml", entry, lang, "svg")


def _entry(lang: str, slug: str) -> Entry:
    """What the files of *slug* are made of.

    A closed department's are its successor's, and an old name's those of the new, by 301.
    """
    with db().reading() as session:
        found = department_ever_called(session, slug)
        if found.status is DepartmentStatus.CLOSED:
            found = successor_of(session, found)
        if found.slug != slug:
            arguments = {**request.view_args, "slug": found.slug, **request.args}  # type: ignore[dict-item]
            abort(redirect(url_for(str(request.endpoint), **arguments), 301))
        entry = entry_of(session, found, settings=settings())
    if entry.hours is not None:
        lasts_until(entry.hours.next_change(now()))
    return entry


def _file(
    text: str, media_type: str, entry: Entry, lang: str, suffix: str, *, save: bool = False
) -> Response:
    name = localised(entry.department.name, lang)[0]
    response = Response(text, content_type=media_type)
    disposition = "attachment" if save else "inline"
    response.headers["Content-Disposition"] = (
        f'{disposition}; filename="{entry.department.slug}.{suffix}"; '
        f"filename*=UTF-8''{quote(name, safe='')}.{suffix}"
    )
    return for_everybody(response)


def for_everybody(response: Response) -> Response:
    """Let pages of other sites ask for it, and caches keep it for five minutes."""
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = "public, max-age=300"
    return response
