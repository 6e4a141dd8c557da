"""Signed links from our mails, and reports of mistakes: what people do without an account.

A link shows, a button acts: mail scanners open every link they see. The token of a link is
exchanged at once for an address without it and a cookie of that address, so that it stands in no
history, no Referer and no log of another.
"""

from __future__ import annotations

from typing import Any

import structlog
from flask import (
    Blueprint,
    Response,
    abort,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.orm import Session

from directory.adapters.links import TokenState, link_in
from directory.adapters.queries import department_ever_called
from directory.domain.contacts import Department, DepartmentStatus, localised
from directory.domain.errors import InvalidValue, LinkRefused, RateLimited
from directory.domain.trust import Challenge
from directory.services.letters import shown_rows
from directory.services.proposals import propose_from_mailbox, report_mistake
from directory.services.trust import (
    challenge_of,
    check_open,
    confirm,
    object_to_questions,
    objected,
)
from directory.web import errors, present
from directory.web.context import _, db, language, now, parts, sender, settings
from directory.web.department_page import successor_of
from directory.web.exchange import SYMBOLS, Exchange, no_cookie, private
from directory.web.forms import ReportForm
from directory.web.staff import staff

log = structlog.get_logger(__name__)

bp = Blueprint("actions", __name__)

_ASKED = Exchange("verification", "actions.verification", "v")
_DOINGS = ("correct", "change")


# Verification: is what we show of you right?


@bp.route("/v/<token>", methods=["GET", "POST"])
def verification(token: str) -> ResponseReturnValue:
    """A link out of a mail is exchanged; the address it leads to shows, asks and is answered."""
    try:
        if len(token) != SYMBOLS:
            return _exchange(token)
        return _answer(token) if request.method == "POST" else _show(token)
    except LinkRefused as error:
        log.warning("link.refused", purpose="verification", reason=error.reason)
        return _refused(token, error)


def _exchange(token: str) -> Response:
    """303 to the address without the token. Raises LinkRefused."""
    with db().reading() as session:
        challenge = challenge_of(session, link_in(token).symbols)
        parts().signer.read_verification_token(token, challenge.version)
        check_open(session.get_one(Department, challenge.department_id), challenge, now())
    if request.method == "POST":
        abort(403)  # the page has a form with its nonce; nothing else is to be posted
    doing = request.args.get("do")
    target = url_for(
        "actions.verification",
        token=challenge.symbols,
        do=doing if doing in _DOINGS else None,
    )
    return _remember(private(redirect(target, 303)), challenge)


def _show(symbols: str) -> Response:
    if not _is_remembered(symbols):
        return no_cookie()
    with db().reading() as session:
        challenge = challenge_of(session, symbols)
        department = session.get_one(Department, challenge.department_id)
        done = request.args.get("done", "")
        if challenge.answered_at is not None and done == challenge.answer:
            return _thanks(department, done)
        check_open(department, challenge, now())
        return _question(department, challenge, ReportForm(language=language()), [], 200)


def _answer(symbols: str) -> Response:
    remembered = _is_remembered(symbols)
    form = ReportForm(request.form, language=language())
    doing = request.form.get("do", "")
    if doing not in _DOINGS:
        abort(400)
    with db().reading() as session:
        try:
            challenge = challenge_of(session, symbols)
            if _ASKED.read_nonce(request.form.get("nonce", "")) != _named(challenge):
                raise LinkRefused("forged")
        except LinkRefused as error:
            log.warning("nonce.refused", purpose="verification", reason=error.reason)
            abort(403)
        department = session.get_one(Department, challenge.department_id)
        check_open(department, challenge, now())
        problems = []
        if not remembered:
            late = _(
                "This page was open for more than half an hour. Nothing was lost: look at it "
                "again and press once more."
            )
            problems = [("", late)]
        elif doing == "change" and not form.validate():
            problems = form.problems()
        if problems:
            shown = _question(department, challenge, form, problems, 422)
            return _remember(shown, challenge)
    with db().writing() as session:
        challenge = challenge_of(session, symbols, lock=True)
        if doing == "correct":
            confirm(session, challenge, settings=settings(), now=now())
        else:
            propose_from_mailbox(session, challenge, form.report(), settings=settings(), now=now())
        answer = challenge.answer
    target = url_for("actions.verification", token=symbols, done=answer)
    return private(redirect(target, 303))


def _question(
    department: Department,
    challenge: Challenge,
    form: ReportForm,
    problems: list[tuple[str, str]],
    status: int,
) -> Response:
    tag = language()
    page = render_template(
        "public/verification.html",
        name=localised(department.name, tag)[0],
        address=challenge.address,
        rows=shown_rows(department, tag, settings=settings(), now=now()),
        form=form,
        errors=problems,
        nonce=_ASKED.nonce(_named(challenge)),
        first="change" if problems or request.args.get("do") == "change" else "correct",
        asked_at=present.moment(challenge.sent_at, _zone(department), "", tag),
        robots="noindex",
    )
    return private(page, status)


def _thanks(department: Department, answer: str) -> Response:
    tag = language()
    page = render_template(
        "public/verified.html",
        name=localised(department.name, tag)[0],
        answer=answer,
        department_url=present.department_url(department.slug, tag),
        report_url=url_for("actions.report", lang=tag, slug=department.slug),
        robots="noindex",
    )
    return private(page)


def _refused(token: str, error: LinkRefused) -> Response:
    if error.reason == "forged":
        return errors.answer(404)
    tag = language()
    with db().reading() as session:
        challenge = challenge_of(session, token[:SYMBOLS])
        department = session.get_one(Department, challenge.department_id)
        name = localised(department.name, tag)[0]
        if error.reason == "spent" and challenge.answered_at is not None:
            when = present.moment(challenge.answered_at, _zone(department), "", tag)
            what = _(
                "It asked whether what we show of %(name)s is right, and was answered on %(when)s.",
                name=name,
                when=when["text"],
            )
        else:
            what = _(
                "It asked whether what we show of %(name)s is right, and opens for 30 days or "
                "until something changes.",
                name=name,
            )
        report = url_for("actions.report", lang=tag, slug=department.slug)
    how = Markup('{} <a href="{}">{}</a>').format(
        _("For a new link write to the desk below. To change something now:"),
        report,
        _("Report a mistake"),
    )
    return errors.answer(410, what=what, detail=how)


# Cookies and nonces of a link


def _named(challenge: Challenge) -> list[Any]:
    return [challenge.symbols, challenge.version]


def _remember(response: Response, challenge: Challenge) -> Response:
    return _ASKED.remember(response, challenge.symbols, challenge.symbols)


def _is_remembered(symbols: str) -> bool:
    return bool(_ASKED.remembered() == symbols)


def _zone(department: Department) -> str:
    return department.timezone or settings().site.timezone


# What a department does with an enquiry

bp.add_url_rule("/a/<token>", view_func=staff, methods=["GET", "POST"])

# Unsubscribe


@bp.route("/u/<token>", methods=["GET", "POST"])
def unsubscribe(token: str) -> ResponseReturnValue:
    """No more questions to this mailbox. Mail programs post here by themselves (RFC 8058)."""
    try:
        link = parts().signer.read_unsubscribe_token(token)
        with db().reading() as session:
            challenge = challenge_of(session, link.symbols)
            stopped = objected(session, challenge.address)
    except LinkRefused as error:
        log.warning("link.refused", purpose="unsubscribe", reason=error.reason)
        return errors.answer(404)
    one_click = request.form.get("List-Unsubscribe") == "One-Click"
    if request.method == "POST":
        if not one_click and not _is_form_token(request.form.get("nonce", "")):
            abort(403)
        with db().writing() as session:
            found = challenge_of(session, link.symbols, lock=True)
            object_to_questions(session, found, now=now())
        if one_click:
            # To a program; RFC 8058 has it follow no redirect.
            return private(Response("done\n", mimetype="text/plain"))
        return private(redirect(url_for("actions.unsubscribe", token=token), 303))
    page = render_template(
        "public/unsubscribe.html",
        address=challenge.address,
        stopped=stopped,
        nonce=parts().signer.form_token(now()),
        robots="noindex",
    )
    return private(page)


def _is_form_token(text: str) -> bool:
    return parts().signer.read_form_token(text, now()) is TokenState.VALID


# Mistakes


@bp.route("/<lang:lang>/departments/<slug>/report", methods=["GET", "POST"])
def report(lang: str, slug: str) -> ResponseReturnValue:
    """Anybody says what is wrong on the page of a department."""
    with db().reading() as session:
        department = department_ever_called(session, slug)
        if department.status is DepartmentStatus.CLOSED:
            department = successor_of(session, department)
        if department.slug != slug:
            target = url_for("actions.report", lang=lang, slug=department.slug)
            return redirect(target, 301 if request.method == "GET" else 303)
        if request.method == "GET":
            if request.args.get("sent") == "1":
                return _reported(department, lang)
            form = ReportForm(language=lang, what=request.args.get("what", "")[:100])
            return _report_page(department, lang, form, [], 200)
        form = ReportForm(request.form, language=lang)
        problems = [] if form.validate() else form.problems()
        state = parts().signer.read_form_token(form.form_token.data or "", now())
        if not problems and state is not TokenState.VALID:
            problems = [("", InvalidValue("form.expired").text(lang))]
        if problems:
            return _report_page(department, lang, form, problems, 422)
    if (form.leave_blank.data or "").strip():
        # A program filled in what nobody sees; it learns nothing from the answer.
        log.info("report.honeypot", department=slug)
        return _to_thanks(lang, slug)
    try:
        with db().writing() as session:
            _keep(session, slug, form)
    except RateLimited as limited:
        again = present.moment(limited.again_at, settings().site.timezone, "", lang)
        text = _(
            "Your network has sent %(n)s reports in an hour. You can send another at %(time)s.",
            n=limited.count,
            time=again["text"],
        )
        with db().reading() as session:
            department = department_ever_called(session, slug)
            response = _report_page(department, lang, form, [("", text)], 429)
        wait = (limited.again_at - now()).total_seconds()
        response.headers["Retry-After"] = str(max(1, int(wait)))
        return response
    return _to_thanks(lang, slug)


def _keep(session: Session, slug: str, form: ReportForm) -> None:
    department = department_ever_called(session, slug)
    report_mistake(
        session, department, form.report(), settings=settings(), sender=sender(), now=now()
    )


def _to_thanks(lang: str, slug: str) -> Response:
    return private(redirect(url_for("actions.report", lang=lang, slug=slug, sent=1), 303))


def _report_page(
    department: Department,
    lang: str,
    form: ReportForm,
    problems: list[tuple[str, str]],
    status: int,
) -> Response:
    page = render_template(
        "public/report.html",
        name=localised(department.name, lang)[0],
        department_url=present.department_url(department.slug, lang),
        rows=shown_rows(department, lang, settings=settings(), now=now()),
        form=form,
        form_token=parts().signer.form_token(now()),
        errors=problems,
        robots="noindex",
    )
    return private(page, status)


def _reported(department: Department, lang: str) -> Response:
    page = render_template(
        "public/reported.html",
        name=localised(department.name, lang)[0],
        department_url=present.department_url(department.slug, lang),
        robots="noindex",
    )
    return private(page)
