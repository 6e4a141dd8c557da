"""One box for everything: departments, topics, numbers that rang, references."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from directory.adapters.db import departments
from directory.adapters.queries import Published
from directory.adapters.search import Found, Hit, search, whose
from directory.domain.contacts import Department, PointKind
from directory.domain.terms import Caller, Query, reference_in
from directory.domain.values import PhoneNumber, ServiceNumber
from directory.web import present
from directory.web.context import _, db, language, now, parts, settings
from directory.web.fragments import small
from directory.web.public import page

bp = Blueprint("search", __name__)

# What is shown again of what was typed, and as much as is looked for.
_LONGEST = 200
_A_PAGE = 20
_NUMBERS = 10


@bp.get("/<lang:lang>/search")
def results(lang: str) -> ResponseReturnValue:
    asked = " ".join(request.args.get("q", "").replace("\0", " ").split())[:_LONGEST]
    at = _whole(request.args.get("page", ""))
    query = Query.parse(asked)
    caller = Caller.parse(asked, region=settings().site.default_country)
    with db().reading() as session:
        published = parts().published(session, now())
        owners = _owners(session, caller, lang) if caller else []
        found = search(session, query, language=lang, offset=(at - 1) * _A_PAGE, limit=_A_PAGE)
        records = _records(session, found.departments)
        shown = [_department(hit, records, lang) for hit in found.departments]
        topics = _topics(published, found.topics, lang) if at == 1 else []
    pages = max(1, -(-found.department_count // _A_PAGE))
    reference = reference_in(asked, prefix=settings().enquiry.reference_prefix)
    nothing = not (found.department_count or found.topic_count or owners) and reference is None
    response = page(
        "public/search.html",
        q=asked,
        departments=shown,
        topics=topics,
        near=found.near,
        more=found.more,
        said=_said(found, owners),
        nothing=bool(asked) and nothing and caller is None,
        number=_Number(owners) if caller else None,
        reference=reference,
        ask_url=_ask_url(published.desk, asked, lang),
        pager=_pager(asked, at, pages, lang),
        robots="noindex" if asked else "",
    )
    return small(response)


@dataclass(frozen=True, slots=True)
class _Number:
    """A number that was asked about: whose it is, nobody's if that is empty."""

    owners: list[dict[str, Any]]


def _whole(text: str) -> int:
    """A page's number, 1 for anything that is none; no list is as long as 999 pages."""
    return (
        int(text) if text.isascii() and text.isdigit() and 1 <= len(text) <= 3 and int(text) else 1
    )


def _records(session: Session, hits: Iterable[Hit]) -> dict[UUID, Department]:
    wanted = sa.select(Department).where(departments.c.id.in_([hit.id for hit in hits]))
    return {found.id: found for found in session.scalars(wanted)}


def _department(hit: Hit, records: dict[UUID, Department], lang: str) -> dict[str, Any]:
    found = records[hit.id]
    return {
        **_link(found, lang),
        "also": hit.also,
        "summary": present.words(found.summary, lang),
        "phone": present.phone_to_ring(found, lang, settings()),
    }


def _link(department: Department, lang: str) -> dict[str, str]:
    name = present.words(department.name, lang)
    other = next((tag for tag in department.name if tag != (name["lang"] or lang)), "")
    return {
        "name": name["text"],
        "name_lang": name["lang"],
        "url": present.department_url(department.slug, lang),
        "other_name": department.name.get(other, ""),
        "other_lang": other,
    }


def _topics(published: Published, hits: Sequence[Hit], lang: str) -> list[dict[str, Any]]:
    shown = {
        topic["code"]: topic
        for group in present.topic_groups(published, lang, settings())
        for topic in group["topics"]
    }
    codes = {topic.id: topic.code for topic in published.topics.values()}
    return [shown[codes[hit.id]] for hit in hits if codes.get(hit.id) in shown]


def _owners(session: Session, caller: Caller, lang: str) -> list[dict[str, Any]]:
    owned = whose(session, caller)[:_NUMBERS]
    records = {
        found.id: found
        for found in session.scalars(
            sa.select(Department).where(departments.c.id.in_({it.department_id for it in owned}))
        )
    }
    return [
        {
            **_link(records[it.department_id], lang),
            "kind": present.default_label(it.kind),
            "number": ServiceNumber(it.value, settings().site.default_country).digits
            if it.kind is PointKind.SERVICE
            else PhoneNumber(it.value, it.extension).display(lang),
        }
        for it in owned
    ]


def _said(found: Found, owners: Sequence[object]) -> str:
    """What was found, in a few words: shown above it, and said where it changes as one types."""
    if found.more:
        return _("More than %(count)s results", count=f"{found.department_count:,}")
    counted = []
    if owners:
        counted.append(_("1 number") if len(owners) == 1 else _("%(n)s numbers", n=len(owners)))
    if n := found.department_count:
        counted.append(_("1 department") if n == 1 else _("%(n)s departments", n=f"{n:,}"))
    if n := found.topic_count:
        counted.append(_("1 topic") if n == 1 else _("%(n)s topics", n=f"{n:,}"))
    if not counted:
        return _("Nothing found")
    return ("，" if language() == "zh-Hans" else ", ").join(counted)


def _ask_url(desk: str, asked: str, lang: str) -> str:
    return url_for("enquiry.new", lang=lang, department=desk, subject=asked[:120] or None)


def _pager(asked: str, at: int, pages: int, lang: str) -> dict[str, Any]:
    def address(number: int) -> str:
        return url_for("search.results", lang=lang, q=asked, page=number if number > 1 else None)

    return {
        "at": at,
        "pages": pages,
        "previous": address(min(at - 1, pages)) if at > 1 else "",
        "next": address(at + 1) if at < pages else "",
    }
