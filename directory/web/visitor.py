"""The visitor's page: where an enquiry is, and what its visitor can still do with it.

Somebody else may hold its link, by a mistyped address: it shows no name, no address and no word of
the visitor's, but in the browser that sent them. Looking changes nothing; each act is a form that
carries a nonce of this page. What gives data out or deletes them is confirmed by a mail to the
address on record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from flask import Blueprint, Response, abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import StringField
from wtforms.fields import Field

from directory.adapters.links import link_in
from directory.adapters.queries import (
    Published,
    decisions_of,
    deliveries_of,
    enquiry_by_ref,
    events_of,
)
from directory.domain import text
from directory.domain.contacts import Department, localised
from directory.domain.delivery import DeliveryKind, DeliveryState
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy, moves_that_stand
from directory.domain.errors import Conflict, InvalidValue, LinkRefused, NotFound, RateLimited
from directory.domain.questions import Question, answered, question_of
from directory.domain.values import EmailAddress, Reference
from directory.services.contacts import place_in_zone, usual_days_of
from directory.services.enquiries import mask
from directory.services.history import about
from directory.services.post import status_url
from directory.services.privacy import erase, person_archive
from directory.services.visitors import (
    CONFIRMED_WITHIN,
    CORRECTED_WITHIN,
    Confirmed,
    add_message,
    ask_for_link,
    ask_to_confirm,
    can_add,
    can_confirm,
    can_correct,
    can_withdraw,
    confirmed_by,
    correct_address,
    withdraw,
)
from directory.web import errors, present
from directory.web.context import (
    SEGMENTS,
    TAGS,
    _,
    db,
    keep_cookie,
    language,
    now,
    parts,
    read_cookie,
    sender,
    settings,
)
from directory.web.destination import elsewhere
from directory.web.exchange import Exchange, private
from directory.web.forms import DirectoryForm

log = structlog.get_logger(__name__)

bp = Blueprint("visitor", __name__)

# What the visitor wrote is shown in the browser that sent it, for this long.
WRITTEN_SHOWN = CORRECTED_WITHIN
_PAGE = Exchange("visitor", "visitor.status", "e")
_ACTS = ("add", "withdraw", "email", "export", "erase")
_CONFIRMED = ("export", "erase")
_WAITING = frozenset(
    {EnquiryStatus.RECEIVED, EnquiryStatus.ROUTED, EnquiryStatus.TAKEN, EnquiryStatus.HELD}
)


class AddForm(DirectoryForm):
    """Something more to an enquiry, as its message is read."""

    message = StringField()

    def validate_message(self, field: Field) -> None:
        self.read(field, text.message_text)


class AddressForm(DirectoryForm):
    """The right address in place of a mistyped one, as the form reads it."""

    email = StringField()

    def validate_email(self, field: Field) -> None:
        if not (field.data or "").strip():
            self.refuse(field, InvalidValue("email.required"))
        smtputf8 = settings().mail.smtputf8
        self.read(field, lambda typed: EmailAddress.parse(typed, smtputf8=smtputf8))


class LostForm(DirectoryForm):
    """A reference and an address. Nothing in it is wrong: the answer is the same for all."""

    ref = StringField()
    email = StringField()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is being done: the act, its form as typed, and what is wrong with it."""

    act: str = ""
    form: DirectoryForm | None = None
    problems: Sequence[tuple[str, str]] = ()
    status: int = 200


_NOTHING = _Asked()


@bp.errorhandler(LinkRefused)
def _refused(error: LinkRefused) -> ResponseReturnValue:
    log.warning("link.refused", purpose="visitor", reason=error.reason)
    if error.reason == "forged":
        return errors.answer(404)
    return errors.answer(410, renew_url=url_for("visitor.lost", lang=language()))


# Looking


@bp.get("/e/<token>")
def status(token: str) -> ResponseReturnValue:
    """Where the enquiry is, and with ``?do=`` the form of one act."""
    with db().reading() as session:
        enquiry = _enquiry(session, token)
        doing = request.args.get("do", "")
        return _page(session, token, enquiry, _Asked(doing if doing in _ACTS else ""))


@bp.get("/e/<token>/<act>")
def look(token: str, act: str) -> ResponseReturnValue:
    """A link out of a mail that asks to confirm; else somebody reloaded what forms are sent to."""
    if act not in _ACTS:
        abort(404)
    if link_in(token).recipient is None:
        return redirect(url_for("visitor.status", token=token, do=act, lang=_asked_language()), 302)
    if act not in _CONFIRMED:
        raise LinkRefused("forged")
    with db().reading() as session:
        enquiry = confirmed_by(
            session, cast(Confirmed, act), token, signer=parts().signer, now=now()
        )
        return _confirm_page(session, token, enquiry, act)


def _enquiry(session: Session, token: str) -> Enquiry:
    """The enquiry whose page *token* opens. Raises LinkRefused."""
    link = link_in(token)
    try:
        enquiry = enquiry_by_ref(session, link.symbols)
    except NotFound:
        raise LinkRefused("forged") from None
    parts().signer.read_status_token(token, enquiry.link_version)
    return enquiry


# Acting


@bp.post("/e/<token>/<act>")
def do(token: str, act: str) -> ResponseReturnValue:
    """One act, with the nonce of the page it was asked for on."""
    if act not in _ACTS:
        abort(404)
    if link_in(token).recipient is not None:
        return _confirmed(token, act)
    with db().reading() as session:
        enquiry = _enquiry(session, token)
        lang = _language_of_status(enquiry)
        form = _form_of(act, lang)
        problems = [] if form.validate() else form.problems()
        problems += _nonce_problems([enquiry.ref, "page"])
        if act == "email" and not _is_own_browser(enquiry):
            late = _("The address can be corrected for 30 minutes, in the browser that sent it.")
            problems = [("", late)]
        if problems:
            return _page(session, token, enquiry, _Asked(act, form, problems, 422))
    try:
        with db().writing() as session:
            enquiry = _enquiry(session, token)
            _act(session, enquiry, act, form)
    except Conflict as error:
        log.info("visitor.conflict", act=act, cause=str(error))
        return _again(token, act, form, _("This is not possible any more."), 409)
    except RateLimited as error:
        response = _again(token, act, form, _too_often(error), 429)
        wait = (error.again_at - now()).total_seconds()
        response.headers["Retry-After"] = str(max(1, int(wait)))
        return response
    parts().doorbell.ring()
    return to_page(enquiry, done=act, lang=_asked_language(), own=_is_own_browser(enquiry))


def _form_of(act: str, lang: str) -> DirectoryForm:
    forms: dict[str, type[DirectoryForm]] = {"add": AddForm, "email": AddressForm}
    return forms.get(act, DirectoryForm)(request.form, language=lang)


def _nonce_problems(named: list[Any]) -> list[tuple[str, str]]:
    """What to say where the page is too old. Ends the request where it is none of ours."""
    try:
        told = _PAGE.read_nonce(request.form.get("nonce", ""))
    except LinkRefused as error:
        if error.reason == "expired":
            late = _("This page was open for more than a day. Nothing was lost: press once more.")
            return [("", late)]
        log.warning("nonce.refused", purpose="visitor", reason=error.reason)
        abort(403)
    if told != named:
        abort(403)
    return []


def _act(session: Session, enquiry: Enquiry, act: str, form: DirectoryForm) -> None:
    given: dict[str, Any] = {
        "published": parts().published(session, now()),
        "settings": settings(),
        "signer": parts().signer,
        "now": now(),
    }
    if act == "add":
        add_message(session, enquiry, form.values["message"], **given)
    elif act == "withdraw":
        withdraw(session, enquiry, **given)
    elif act == "email":
        correct_address(session, enquiry, form.values["email"], sender=sender(), **given)
    else:
        ask_to_confirm(session, enquiry, cast(Confirmed, act), **given)


def _too_often(error: RateLimited) -> str:
    if error.count == 1:
        return _("You have done this once today already. Try again tomorrow, or ring.")
    return _(
        "You have done this %(n)s times today already. Try again tomorrow, or ring.", n=error.count
    )


def _again(token: str, act: str, form: DirectoryForm, problem: str, code: int) -> Response:
    with db().reading() as session:
        enquiry = _enquiry(session, token)
        return _page(session, token, enquiry, _Asked(act, form, [("", problem)], code))


def to_page(
    enquiry: Enquiry, *, done: str = "", lang: str | None = None, own: bool = True
) -> Response:
    """303 to the visitor's page, with the panel of having just been sent, or what was *done*.

    With *own* this browser may see what was written, for half an hour from now or, after an act,
    from when it was sent.
    """
    target = status_url(enquiry, settings=settings(), signer=parts().signer)
    path = target.removeprefix(settings().site.base_url)
    told = f"done={done}" if done else "sent=1"
    if lang:
        told += f"&lang={lang}"
    response = private(redirect(f"{request.script_root}{path}?{told}", 303))
    if own and not done:
        keep_cookie(
            response,
            _written_cookie(enquiry.ref),
            parts().signer.sign_value("written", enquiry.ref, now()),
            seconds=int(WRITTEN_SHOWN.total_seconds()),
        )
    return response


# Confirming by a link out of a mail


def _confirm_page(
    session: Session,
    token: str,
    enquiry: Enquiry,
    act: str,
    problems: Sequence[tuple[str, str]] = (),
) -> Response:
    lang = _language_of_status(enquiry)
    department = session.get_one(Department, enquiry.department_id)
    page = render_template(
        "public/confirm.html",
        ref=_shown(enquiry),
        act=act,
        department=localised(department.name, lang)[0],
        errors=problems,
        nonce=_PAGE.nonce([enquiry.ref, act]),
        action_url=url_for("visitor.do", token=token, act=act, lang=_asked_language()),
        robots="noindex",
    )
    return private(page, 422 if problems else 200)


def _confirmed(token: str, act: str) -> ResponseReturnValue:
    if act not in _CONFIRMED:
        raise LinkRefused("forged")
    what = cast(Confirmed, act)
    with db().reading() as session:
        enquiry = confirmed_by(session, what, token, signer=parts().signer, now=now())
        _language_of_status(enquiry)
        if problems := _nonce_problems([enquiry.ref, act]):
            return _confirm_page(session, token, enquiry, act, problems)
        if what == "export":
            packed = person_archive(session, [enquiry], settings=settings(), now=now())
            return _download(packed, _shown(enquiry))
    with db().writing() as session:
        enquiry = confirmed_by(session, what, token, signer=parts().signer, now=now())
        erase(
            session,
            enquiry,
            why="asked",
            by="visitor",
            published=parts().published(session, now()),
            settings=settings(),
            signer=parts().signer,
            now=now(),
        )
    parts().doorbell.ring()
    return to_page(enquiry, done="erased", lang=_asked_language(), own=False)


def _download(packed: bytes, ref: str) -> Response:
    response = private(Response(packed, content_type="application/zip"))
    response.headers["Content-Disposition"] = f'attachment; filename="{ref}.zip"'
    return response


# A lost link


@bp.route("/<lang:lang>/status-link", methods=["GET", "POST"])
def lost(lang: str) -> ResponseReturnValue:
    """The link to an enquiry once more, by mail. Tells nobody whether there is such an enquiry."""
    form = LostForm(request.form, language=lang)
    asked = request.method == "POST"
    if asked:
        with db().writing() as session:
            ask_for_link(
                session,
                form.ref.data or "",
                form.email.data or "",
                signer=parts().signer,
                sender=sender(),
                now=now(),
            )
        form = LostForm(language=lang)
    page = render_template("public/status_link.html", form=form, asked=asked, robots="noindex")
    return private(page) if asked else Response(page)


# The page


def _page(session: Session, token: str, enquiry: Enquiry, asked: _Asked) -> Response:
    published = parts().published(session, now())
    decisions = decisions_of(session, enquiry)
    department = session.get_one(Department, enquiry.department_id)
    lang = _language_of_status(enquiry)
    own = _is_own_browser(enquiry)
    moves = [
        (localised(session.get_one(Department, it.department_id).name, lang)[0], it.at)
        for it in moves_that_stand(decisions)
    ]
    mailed = any(
        it.kind is DeliveryKind.ACKNOWLEDGEMENT
        and it.state not in {DeliveryState.FAILED, DeliveryState.CANCELLED}
        for it in deliveries_of(session, enquiry)
    )
    silent = enquiry.reply_by is ReplyBy.NONE
    waiting = enquiry.status in _WAITING
    desk = published.known(published.desk)
    ring = None if silent else present.phone_to_ring(department, lang, settings())
    if ring is None and desk is not None and not silent:
        ring = present.phone_to_ring(desk, lang, settings())
    zone = department.timezone or settings().site.timezone
    place = place_in_zone(department, settings(), lang)

    def at(instant: datetime) -> dict[str, str]:
        return present.moment(instant, zone, place, lang)

    answer_by = at(enquiry.answer_by) if enquiry.answer_by and not silent else None
    name = localised(department.name, lang)[0]
    expected = _("Expected by %(time)s", time=answer_by["text"]) if answer_by and waiting else ""
    late = bool(answer_by and waiting and enquiry.answer_by and now() > enquiry.answer_by)
    acts = _acts(enquiry, own)
    act = asked.act if asked.act in {it for it, _label in acts} else ""
    problems = list(asked.problems)
    if asked.act and not act and not problems and not enquiry.erased_at:
        problems = [("", _("This is not possible any more."))]
    page = render_template(
        "public/status.html",
        ref=_shown(enquiry),
        status="received" if enquiry.status is EnquiryStatus.HELD else enquiry.status.value,
        sent=request.args.get("sent") == "1" and not act,
        did=_did(request.args.get("done", ""), enquiry, name) if not act else "",
        destination=present.destination(
            department,
            language=lang,
            reply_days=usual_days_of(
                department, published.topic(enquiry.topic), settings=settings()
            ),
            notices=present.closed_notices(department, lang, now(), settings()),
        ),
        moved_text=elsewhere(session, enquiry, decisions[0], lang, own=own),
        answer_by=answer_by if waiting else None,
        late=late,
        late_text=_reminded(session, enquiry, at) if late else "",
        ring=ring if waiting else None,
        receipt=mask(enquiry.email) if own and mailed else None,
        correct_url=_url(token, do="email") if "email" in dict(acts) else "",
        steps=present.steps(enquiry, name, at, expected, moves),
        written=_written(enquiry, _question(published, enquiry.topic), lang, at) if own else None,
        acts=[{"label": label, "url": _url(token, do=key), "key": key} for key, label in acts],
        act=act,
        form=asked.form or _empty(act, lang),
        errors=problems,
        action_url=url_for("visitor.do", token=token, act=act, lang=_asked_language())
        if act
        else "",
        back_url=_url(token),
        nonce=_PAGE.nonce([enquiry.ref, "page"]),
        department=name,
        masked=mask(enquiry.email) if own else "",
        erased_text=_erased_text(enquiry, at),
        asked_there=enquiry.erased_why == "asked" and enquiry.routed_at is not None,
        page_url=settings().site.base_url + url_for("visitor.status", token=token),
        department_url=present.department_url(department.slug, lang),
        home_url=url_for("public.home", lang=lang),
        robots="noindex",
    )
    response = private(page, asked.status)
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _url(token: str, *, do: str | None = None) -> str:
    return url_for("visitor.status", token=token, do=do, lang=_asked_language())


def _empty(act: str, lang: str) -> DirectoryForm:
    return AddressForm(language=lang) if act == "email" else AddForm(language=lang)


def _acts(enquiry: Enquiry, own: bool) -> list[tuple[str, str]]:
    """What can be done now: the act and its name."""
    found: list[tuple[str, str]] = []
    if own and can_correct(enquiry, now()):
        found.append(("email", _("Correct your email address")))
    if can_add(enquiry):
        found.append(("add", _("Add something")))
    if can_withdraw(enquiry):
        found.append(("withdraw", _("Withdraw it")))
    if can_confirm(enquiry):
        found.append(("export", _("Ask for your data")))
        found.append(("erase", _("Delete your details")))
    return found


def _did(done: str, enquiry: Enquiry, department: str) -> str:
    """What was just done, in a sentence; anybody can put the words in an address."""
    days = CONFIRMED_WITHIN // timedelta(days=1)
    said: dict[str, Callable[[], str]] = {
        "add": lambda: _("Added. %(name)s gets it by email.", name=department),
        "email": lambda: _("Corrected. Answers go to the new address from now on."),
    }
    if done in _CONFIRMED:
        return _(
            "If mail may go to the address you left, it gets a link. It opens for %(n)s days.",
            n=days,
        )
    if done == "withdraw" and enquiry.status is EnquiryStatus.WITHDRAWN:
        return _("Withdrawn. Nobody answers it any more.")
    return said[done]() if done in said else ""


def _reminded(session: Session, enquiry: Enquiry, at: Any) -> str:
    """Whom we reminded, and when; "" where nobody was yet."""
    reminded = [it for it in events_of(session, about(enquiry)) if it.type == "reminded"]
    if not reminded:
        return ""
    last = reminded[-1]
    department = session.get_one(Department, enquiry.department_id)
    name = localised(department.name, language())[0]
    return _("We reminded %(name)s on %(when)s.", name=name, when=at(last.at)["text"])


def _erased_text(enquiry: Enquiry, at: Any) -> str:
    if enquiry.erased_at is None:
        return ""
    when = at(enquiry.erased_at)["text"]
    if enquiry.erased_why == "retention":
        days = settings().privacy.retention_days
        if days % 365 == 0:
            rule = _("as our %(n)s-month rule says", n=days // 365 * 12)
        else:
            rule = _("as our %(n)s-day rule says", n=days)
        return _("Details deleted on %(when)s, %(why)s.", when=when, why=rule)
    return _("Details deleted on %(when)s, as you asked.", when=when)


def _shown(enquiry: Enquiry) -> str:
    return Reference(enquiry.ref).display(settings().enquiry.reference_prefix)


def _asked_language() -> str | None:
    """The language asked for in the address, to be asked for in the next."""
    asked = request.args.get("lang", "").lower()
    return asked if asked in TAGS else None


def _language_of_status(enquiry: Enquiry) -> str:
    """The page's own address has no language: as asked for, else as the visitor wrote."""
    asked = request.args.get("lang", "").lower()
    lang = TAGS.get(asked, enquiry.language)
    g.language = lang = lang if lang in SEGMENTS else language()
    return lang


def _written_cookie(ref: str) -> str:
    return f"written_{ref}"


def _is_own_browser(enquiry: Enquiry) -> bool:
    if enquiry.erased_at is not None:
        return False
    signed = read_cookie(_written_cookie(enquiry.ref))
    try:
        told = parts().signer.read_value("written", signed, now(), max_age=WRITTEN_SHOWN)
    except LinkRefused:
        return False
    return bool(told == enquiry.ref)


def _question(published: Published, topic: str) -> Question | None:
    found = published.topic(topic)
    return question_of(found.question) if found else None


def _written(enquiry: Enquiry, question: Question | None, lang: str, at: Any) -> dict[str, Any]:
    rows = [
        (_("Topic"), localised(enquiry.topic_label, lang)[0]),
        *answered(question, enquiry.answers, lang),
        (_("Subject"), enquiry.subject),
        (_("Message"), enquiry.message),
        (_("Name"), enquiry.name),
        (_("Email"), mask(enquiry.email)),
        (_("Phone"), enquiry.phone_typed),
        (_("Organisation"), enquiry.organisation),
    ]
    return {
        "rows": [{"label": label, "text": text} for label, text in rows if text],
        "until": at(enquiry.received_at + WRITTEN_SHOWN),
    }
