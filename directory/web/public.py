"""The pages anybody may read: home, departments, topics, privacy, accessibility."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
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

from directory.adapters.db import departments
from directory.adapters.queries import (
    children_of,
    department_by_slug,
    department_rows,
    parents_of,
)
from directory.domain.contacts import Department, DepartmentStatus, localised
from directory.domain.errors import NotFound
from directory.web import present, shell
from directory.web.context import (
    LANGUAGE_COOKIE,
    SEGMENTS,
    YEAR_S,
    db,
    keep_cookie,
    now,
    parts,
    preferred_language,
    settings,
)

bp = Blueprint("public", __name__)

TOPICS_ON_HOME = 9
# Below this many departments the pages show each with its phone and sentence.
_DETAILED_UP_TO = 200


def page(template: str, **context: Any) -> Response:
    """A page that search engines may keep, in one language with a link to the other."""
    links = shell.public_links()
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
def home(lang: str) -> ResponseReturnValue:
    with db().reading() as session:
        published = parts().published(session, now())
        groups = present.topic_groups(published, lang, settings())
        nodes = _tree(session, lang)
        desk = published.known(published.desk)
    topics = [topic for group in groups for topic in group["topics"]]
    shown = topics[:TOPICS_ON_HOME]
    return page(
        "public/home.html",
        topics=shown,
        more_topics_url=url_for("public.topics", lang=lang) if len(topics) > len(shown) else "",
        tree=nodes,
        notices=[],
        desk_open=present.open_state(desk, lang, now(), settings()) if desk else None,
        search=None,
    )


@bp.get("/<lang:lang>/topics")
def topics(lang: str) -> ResponseReturnValue:
    with db().reading() as session:
        published = parts().published(session, now())
        groups = present.topic_groups(published, lang, settings())
    return page("public/topics.html", groups=groups)


@bp.get("/<lang:lang>/departments/", endpoint="departments")
def departments_list(lang: str) -> ResponseReturnValue:
    with db().reading() as session:
        nodes = _tree(session, lang)
    return page("public/departments.html", tree=nodes)


@bp.get("/<lang:lang>/departments/<slug>")
def department(lang: str, slug: str) -> ResponseReturnValue:
    with db().reading() as session:
        found = department_by_slug(session, slug)
        if found.status is DepartmentStatus.CLOSED:
            return redirect(present.department_url(_successor(session, found).slug, lang), 301)
        published = parts().published(session, now())
        view = present.department_view(
            found,
            language=lang,
            now=now(),
            settings=settings(),
            parents=parents_of(session, found),
            children=children_of(session, found),
            topics=[t for t in published.topics.values() if t.department_id == found.id],
        )
    return page("public/department.html", d=view)


@bp.get("/<lang:lang>/privacy")
def privacy(lang: str) -> ResponseReturnValue:
    return page(
        "public/privacy.html",
        keep_months=months(settings().privacy.retention_days),
        dpo=settings().privacy.dpo,
        rate_networks=True,
    )


@bp.get("/<lang:lang>/accessibility")
def accessibility(lang: str) -> ResponseReturnValue:
    return page("public/accessibility.html")


@bp.post("/theme")
def theme() -> ResponseReturnValue:
    """Remember light, dark or automatic for this browser."""
    chosen = request.form.get("theme", "")
    if chosen not in shell.THEMES:
        abort(400)
    back = shell.own_path(request.form.get("next", "/"))
    response = make_response(redirect(back, 303))
    keep_cookie(response, shell.THEME_COOKIE, chosen, seconds=YEAR_S)
    return response


def months(days: int) -> int:
    """*days* as people say it: 365 are 12 months."""
    return max(1, round(days / 30.42))


def _tree(session: Any, lang: str) -> list[dict[str, Any]]:
    rows = department_rows(session)
    phones: dict[Any, Any] = {}
    summaries: dict[Any, str] = {}
    if len(rows) <= _DETAILED_UP_TO:
        wanted = sa.select(Department).where(departments.c.status == DepartmentStatus.ACTIVE)
        for found in session.scalars(wanted):
            phones[found.id] = present.phone_to_ring(found, lang, settings())
            summaries[found.id] = localised(found.summary, lang)[0]
    return present.tree(rows, lang, phones=phones, summaries=summaries)


def _successor(session: Any, closed: Department) -> Department:
    seen = {closed.id}
    found: Department | None = closed
    while found is not None and found.status is DepartmentStatus.CLOSED:
        found = session.get(Department, found.successor_id) if found.successor_id else None
        if found is None or found.id in seen:
            raise NotFound(f"“{closed.slug}” is closed")
        seen.add(found.id)
    assert found is not None
    return found
