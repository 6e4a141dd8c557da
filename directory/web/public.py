"""The pages anybody may read: home, departments, topics, privacy, accessibility."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from flask import (
    Blueprint,
    Response,
    abort,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from directory.adapters.queries import (
    DepartmentRow,
    department_by_slug,
    department_ever_called,
    department_rows,
    parents_of,
)
from directory.adapters.tree import (
    Unit,
    count_departments,
    count_units,
    departments_of,
    units,
)
from directory.domain.contacts import Department, DepartmentStatus
from directory.domain.hours_words import closed_in_words
from directory.services.contacts import hours_of
from directory.services.exports import entry_of
from directory.web import cards, present, shell
from directory.web.context import (
    LANGUAGE_COOKIE,
    SEGMENTS,
    THEME_COOKIE,
    THEMES,
    YEAR_S,
    db,
    keep_cookie,
    now,
    parts,
    preferred_language,
    settings,
)
from directory.web.department_page import (
    Around,
    closure_today,
    cover_for,
    department_view,
    successor_of,
)
from directory.web.fragments import kept

bp = Blueprint("public", __name__)

TOPICS_ON_HOME = 9
# Up to here the tree is shown whole; beyond it a level at a time, this many to a page.
_WHOLE_UP_TO = 200
_UNITS_A_PAGE = 100
_UNITS_ON_HOME = 30
_UNITS_ON_DEPARTMENT = 50
# A holiday is announced on the first page this long before.
_NOTICE_DAYS = 10


def page(template: str, *, own_query: str = "", **context: Any) -> Response:
    """A page that search engines may keep, in one language with a link to the other.

    *own_query* is the part of the address after "?" that makes it a page of its own.
    """
    links = shell.public_links(own_query)
    return shell.link_headers(make_response(render_template(template, **context, **links)), links)


@bp.get("/")
def root() -> ResponseReturnValue:
    chosen = preferred_language()
    response = make_response(redirect(url_for("public.home", lang=chosen), 302))
    response.headers["Vary"] = "Accept-Language, Cookie"
    if "lang" in request.args:
        keep_cookie(response, LANGUAGE_COOKIE, SEGMENTS[chosen], seconds=YEAR_S)
    return response


@bp.get("/zh")
@bp.get("/zh-cn")
@bp.get("/cn")
def chinese() -> ResponseReturnValue:
    return redirect(url_for("public.home", lang="zh-Hans"), 301)


@bp.get("/<lang:lang>/")
@kept
def home(lang: str) -> ResponseReturnValue:
    with db().reading() as session:
        published = parts().published(session, now())
        groups = present.topic_groups(published, lang, settings())
        total = count_departments(session)
        whole = total <= _WHOLE_UP_TO
        tree = _whole_tree(session, lang) if whole else _level(session, lang, _UNITS_ON_HOME)
        desk = published.known(published.desk)
        entry = entry_of(session, desk, settings=settings()) if desk else None
    topics = [topic for group in groups for topic in group["topics"]]
    shown = topics[:TOPICS_ON_HOME]
    return page(
        "public/home.html",
        topics=shown,
        more_topics_url=url_for("public.topics", lang=lang) if len(topics) > len(shown) else "",
        tree=tree,
        departments_total=0 if whole else total,
        notices=_notices(desk, lang) if desk else [],
        desk_open=present.open_state(desk, lang, now(), settings()) if desk else None,
        json_ld=cards.home_data(entry, tree, lang),
    )


def _notices(desk: Department, lang: str) -> list[dict[str, str]]:
    """The desk's closures that have begun or soon will."""
    hours = hours_of(desk, settings=settings())
    if hours is None:
        return []
    today = present.today_in(hours.timezone, now())
    return [
        {"text": closed_in_words(period, lang), "url": ""}
        for period in hours.upcoming_closures(today, _NOTICE_DAYS)
    ]


@bp.get("/<lang:lang>/topics")
@kept
def topics(lang: str) -> ResponseReturnValue:
    with db().reading() as session:
        published = parts().published(session, now())
        groups = present.topic_groups(published, lang, settings())
    return page("public/topics.html", groups=groups)


@bp.get("/<lang:lang>/departments/", endpoint="departments")
@kept
def departments_list(lang: str) -> ResponseReturnValue:
    """The whole tree, or of a long one a level, a page at a time (``parent``, ``page``)."""
    number = request.args.get("page", "1")
    if re.fullmatch("[1-9][0-9]{0,5}", number) is None:
        abort(404)
    at = int(number)
    with db().reading() as session:
        parent = None
        if "parent" in request.args:
            parent = department_by_slug(session, request.args["parent"])
        if parent is None and at == 1 and count_departments(session) <= _WHOLE_UP_TO:
            return page("public/departments.html", tree=_whole_tree(session, lang), parent=None)
        parent_id = parent.id if parent else None
        pages = -(-count_units(session, parent_id) // _UNITS_A_PAGE) or 1
        if not 1 <= at <= pages:
            abort(404)
        tree = _level(session, lang, _UNITS_A_PAGE, parent_id, offset=(at - 1) * _UNITS_A_PAGE)
    return page(
        "public/departments.html",
        own_query=_list_query(parent, at),
        tree=tree,
        parent=present.words(parent.name, lang) if parent else None,
        pager={
            "at": at,
            "pages": pages,
            "previous": _list_url(lang, parent, at - 1) if at > 1 else "",
            "next": _list_url(lang, parent, at + 1) if at < pages else "",
        },
    )


def _list_query(parent: Department | None, at: int) -> str:
    asked = [f"parent={parent.slug}"] if parent else []
    return "&".join([*asked, f"page={at}"] if at > 1 else asked)


def _list_url(lang: str, parent: Department | None, at: int) -> str:
    query = _list_query(parent, at)
    return url_for("public.departments", lang=lang) + (f"?{query}" if query else "")


@bp.get("/<lang:lang>/departments/<slug>")
@kept
def department(lang: str, slug: str) -> ResponseReturnValue:
    with db().reading() as session:
        found = department_ever_called(session, slug)
        if found.status is DepartmentStatus.CLOSED:
            found = successor_of(session, found)
        if found.slug != slug:
            return redirect(present.department_url(found.slug, lang), 301)
        around = _around(session, found)
        view = department_view(found, around, language=lang, now=now(), settings=settings())
        entry = entry_of(session, found, settings=settings())
    return page(
        "public/department.html",
        d={
            **view,
            "save": cards.save_view(found, lang),
            "report_url": url_for("actions.report", lang=lang, slug=slug),
        },
        json_ld=cards.department_data(entry, lang),
    )


def _around(session: Session, found: Department) -> Around:
    published = parts().published(session, now())
    named: list[DepartmentRow] = []
    if found.not_here and count_departments(session) <= _WHOLE_UP_TO:
        named = department_rows(session)
    cover = None
    if closure_today(found, now(), settings()):
        desk = published.known(published.desk)
        cover = cover_for(session, found, desk, now=now(), settings=settings())
    return Around(
        parents=parents_of(session, found),
        units=units(session, found.id, limit=_UNITS_ON_DEPARTMENT),
        units_total=count_units(session, found.id),
        topics=[t for t in published.topics.values() if t.department_id == found.id],
        named=named,
        cover=cover,
    )


@bp.get("/<lang:lang>/privacy")
@kept
def privacy(lang: str) -> ResponseReturnValue:
    return page(
        "public/privacy.html",
        keep_months=months(settings().privacy.retention_days),
        dpo=settings().privacy.dpo,
        rate_networks=True,
    )


@bp.get("/<lang:lang>/accessibility")
@kept
def accessibility(lang: str) -> ResponseReturnValue:
    return page("public/accessibility.html")


@bp.post("/theme")
def theme() -> ResponseReturnValue:
    """Remember light, dark or automatic for this browser."""
    chosen = request.form.get("theme", "")
    if chosen not in THEMES:
        abort(400)
    back = shell.own_path(request.form.get("next", "/"))
    response = make_response(redirect(back, 303))
    keep_cookie(response, THEME_COOKIE, chosen, seconds=YEAR_S)
    return response


def months(days: int) -> int:
    """*days* as people say it: 365 are 12 months."""
    return max(1, round(days / 30.42))


def _whole_tree(session: Session, lang: str) -> list[dict[str, Any]]:
    rows = department_rows(session)
    found = departments_of(session, [Unit(row, 0) for row in rows])
    return present.tree(rows, lang, found, settings())


def _level(
    session: Session,
    lang: str,
    limit: int,
    parent_id: UUID | None = None,
    *,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """One page of what stands directly below a department, or at the top."""
    level = units(session, parent_id, limit=limit, offset=offset)
    found = departments_of(session, level)
    return [
        {
            **present.node(unit.row, lang, found.get(unit.row.id), settings()),
            "inside": unit.inside,
            "inside_url": url_for("public.departments", lang=lang, parent=unit.row.slug),
        }
        for unit in level
    ]
