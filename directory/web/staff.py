"""What a department does with an enquiry from the links in its mail.

A link leads to a page that shows the enquiry and asks; a button acts. Each form carries the
version of the enquiry it was made from, so that nobody undoes what a colleague did meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from flask import Response, abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import StringField
from wtforms.fields import Field

from directory.adapters.queries import (
    Published,
    additions_of,
    decisions_of,
    department_rows,
    enquiry_by_ref,
)
from directory.domain.contacts import Department, localised
from directory.domain.enquiry import Enquiry, EnquiryStatus, ReplyBy, action_version
from directory.domain.errors import Conflict, InvalidValue, LinkRefused, NotFound
from directory.domain.questions import answered, question_of
from directory.domain.values import Reference
from directory.services.contacts import language_of, place_in_zone
from directory.services.moves import reroute_enquiry, undo_move
from directory.services.staff import (
    LONGEST_NAME,
    Holder,
    How,
    Named,
    Passed,
    finish,
    holder_again,
    holder_of_token,
    is_over,
    passed_on_by,
    take,
    undo,
)
from directory.services.suggestions import suggest_topics
from directory.web import errors, present
from directory.web.context import (
    TAGS,
    _,
    db,
    language,
    now,
    parts,
    settings,
)
from directory.web.exchange import SYMBOLS, Exchange, no_cookie, private
from directory.web.forms import DirectoryForm

log = structlog.get_logger(__name__)

LONGEST_NOTE = 1_000
_STAFF = Exchange("action", "actions.staff", "a")
_DOINGS = ("take", "wrong", "done")
_MINUTE = 60


class StaffForm(DirectoryForm):
    """What the three forms of the page send; each sends its own part."""

    version = StringField()
    name = StringField()
    department = StringField()
    note = StringField()
    how = StringField()

    def validate_department(self, field: Field) -> None:
        if self.doing == "wrong" and field.data not in self.offered:
            self.refuse(field, InvalidValue("choice.unknown"))

    def validate_note(self, field: Field) -> None:
        if len(field.data or "") > LONGEST_NOTE:
            self.refuse(field, InvalidValue("subject.too_long", max=LONGEST_NOTE))

    def validate_name(self, field: Field) -> None:
        if len(field.data or "") > LONGEST_NAME:
            self.refuse(field, InvalidValue("name.too_long", max=LONGEST_NAME))

    def validate_how(self, field: Field) -> None:
        if field.data and field.data not in set(How):
            self.refuse(field, InvalidValue("choice.unknown"))

    def __init__(
        self, formdata: Any = None, *, language: str, doing: str = "", offered: Sequence[str] = ()
    ) -> None:
        self.doing = doing
        self.offered = offered
        super().__init__(formdata, language=language)

    @property
    def seen(self) -> int:
        """The version of the enquiry that was acted on; -1 where it was not said."""
        text = self.version.data or ""
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1


def staff(token: str) -> ResponseReturnValue:
    """A link out of a routed mail is exchanged; the address it leads to shows, asks and acts."""
    try:
        if len(token) != SYMBOLS:
            return _exchange(token)
        return _act(token) if request.method == "POST" else _show(token)
    except LinkRefused as error:
        log.warning("link.refused", purpose="action", reason=error.reason)
        return _refused(token, error)


def _exchange(token: str) -> Response:
    """303 to the address without the token. Raises LinkRefused."""
    with db().reading() as session:
        holder = holder_of_token(session, parts().signer, token, now(), desk=_desk())
    if request.method == "POST":
        abort(403)  # the page has forms with its nonce; nothing else is to be posted
    doing = request.args.get("do")
    target = url_for(
        "actions.staff", token=holder.enquiry.ref, do=doing if doing in _DOINGS else None
    )
    return _STAFF.remember(private(redirect(target, 303)), holder.enquiry.ref, holder.named)


def _desk() -> str:
    return settings().site.desk


def _remembered() -> Named | None:
    """What the link named by which this browser came here."""
    told = _STAFF.remembered()
    return Named(*told) if told else None


def _show(symbols: str) -> Response:
    named = _remembered()
    if named is None or named.symbols != symbols:
        return no_cookie()
    with db().reading() as session:
        try:
            holder = holder_again(session, named, now(), desk=_desk())
        except LinkRefused:
            passed = passed_on_by(session, named, now(), desk=_desk())
            if passed is None:
                raise
            return _passed_page(passed)
        return _page(session, holder)


def _act(symbols: str) -> ResponseReturnValue:
    named = _remembered()
    doing = request.form.get("do", "")
    if doing not in (*_DOINGS, "undo"):
        abort(400)
    try:
        told = Named(*_STAFF.read_nonce(request.form.get("nonce", "")))
    except LinkRefused as error:
        log.warning("nonce.refused", purpose="action", reason=error.reason)
        abort(403)
    if told.symbols != symbols or (named and named != told):
        abort(403)
    with db().reading() as session:
        passed = passed_on_by(session, told, now(), desk=_desk()) if doing == "undo" else None
        if passed is None:
            holder = holder_again(session, told, now(), desk=_desk())
            _speak(holder)
            slugs = [row.slug for row in department_rows(session)]
            form = StaffForm(request.form, language=language(), doing=doing, offered=slugs)
            problems = [] if form.validate() else form.problems()
            if not named:
                late = _(
                    "This page was open for more than half an hour. Nothing was lost: look at it "
                    "again and press once more."
                )
                problems = [("", late)]
            if problems:
                shown = _page(session, holder, form, problems, first=doing, status=422)
                return _STAFF.remember(shown, symbols, told)
    if passed is not None and not named:
        return no_cookie()
    try:
        with db().writing() as session:
            if passed is not None:
                told = _take_back(session, told)
            else:
                _do(session, doing, told, form)
    except Conflict as error:
        log.info("staff.conflict", ref=symbols, doing=doing, cause=str(error))
        return _as_it_stands(told, doing)
    parts().doorbell.ring()
    response = private(redirect(url_for("actions.staff", token=symbols, done=doing), 303))
    # Whoever took a move back has it again, and needs no new mail to go on from here.
    return response if passed is None else _STAFF.remember(response, symbols, told)


def _do(session: Session, doing: str, named: Named, form: StaffForm) -> None:
    holder = holder_again(session, named, now(), desk=_desk())
    note = (form.note.data or "").strip()
    if doing == "take":
        take(session, holder, name=form.name.data or "", version=form.seen, now=now())
    elif doing == "done":
        how = How(form.how.data or How.MAIL)
        finish(session, holder, how=how, note=note, version=form.seen, now=now())
    elif doing == "undo":
        undo(session, holder, version=form.seen, now=now())
    else:
        reroute_enquiry(
            session,
            holder.enquiry.ref,
            form.department.data or "",
            by=holder.address,
            note=note,
            version=form.seen,
            published=parts().published(session, now()),
            settings=settings(),
            signer=parts().signer,
            now=now(),
        )


def _take_back(session: Session, named: Named) -> Named:
    """A move is taken back by a mailbox that has it no more: its link was spent with the move.

    What a link of that mailbox names from now on.
    """
    passed = passed_on_by(session, named, now(), desk=_desk(), lock=True)
    if passed is None or not passed.can_undo:
        raise Conflict("There is nothing of yours to take back any more")
    undo_move(
        session,
        passed.enquiry,
        by=passed.address,
        published=parts().published(session, now()),
        settings=settings(),
        signer=parts().signer,
        now=now(),
    )
    session.flush()
    return named._replace(version=action_version(decisions_of(session, passed.enquiry)))


def _as_it_stands(named: Named, doing: str) -> Response:
    """409: somebody was faster, or it is too late; the page as it now is."""
    with db().reading() as session:
        try:
            holder = holder_again(session, named, now(), desk=_desk())
        except LinkRefused:
            passed = passed_on_by(session, named, now(), desk=_desk())
            if passed is None:
                raise
            return _passed_page(passed, status=409)
        _speak(holder)
        form = StaffForm(request.form, language=language(), doing=doing)
        changed = _(
            "This enquiry was changed meanwhile. Look at it as it is now, and press once more if "
            "you still want to."
        )
        return _page(session, holder, form, [("", changed)], first=doing, status=409)


# Pages


def _speak(holder: Holder) -> None:
    """The address has no language: as asked for, else as the mail with the link was written."""
    asked = TAGS.get(request.args.get("lang", "").lower(), "")
    g.language = asked or language_of(holder.department, settings())


def _page(
    session: Session,
    holder: Holder,
    form: StaffForm | None = None,
    problems: Sequence[tuple[str, str]] = (),
    *,
    first: str = "",
    status: int = 200,
) -> Response:
    _speak(holder)
    tag, enquiry = language(), holder.enquiry
    first = first or request.args.get("do", "")
    published = parts().published(session, now())
    can_undo = holder.can_undo(now()) and status == 200
    page = render_template(
        "staff/enquiry.html",
        ref=Reference(enquiry.ref).display(settings().enquiry.reference_prefix),
        address=holder.address,
        department=localised(holder.department.name, tag)[0],
        stands=_stands(holder),
        # Who pressed the button comes from there; a colleague by the link in the mail.
        did=_did(holder) if can_undo and "done" in request.args else "",
        can_undo=can_undo,
        facts=_facts(enquiry, published, holder.department),
        message=enquiry.message,
        message_lang=enquiry.language,
        added=[
            {"at": _at(holder.department)(it.at), "message": it.message}
            for it in additions_of(session, enquiry)
        ],
        reply_to=enquiry.email if enquiry.reply_by is ReplyBy.EMAIL else "",
        doings=_offered(enquiry, first),
        taken=_taken(enquiry, holder.address),
        suggested=_suggested(session, published, enquiry),
        departments=[
            (row.slug, localised(row.name, tag)[0], row.depth)
            for row in department_rows(session)
            if row.id != enquiry.department_id
        ],
        desk=(published.desk, _name(published.known(published.desk))),
        form=form or StaffForm(language=tag),
        errors=problems,
        version=enquiry.version,
        nonce=_STAFF.nonce(holder.named),
        robots="noindex",
    )
    return private(page, status)


def _name(department: Department | None) -> str:
    return localised(department.name, language())[0] if department else ""


def _offered(enquiry: Enquiry, first: str) -> list[str]:
    """The forms that make sense now, the one that was asked for first, else what comes next."""
    if first not in _DOINGS:
        first = "done" if enquiry.status is EnquiryStatus.TAKEN else "take"
    if is_over(enquiry) or enquiry.status is EnquiryStatus.HELD:
        return []
    order = [first, *(doing for doing in _DOINGS if doing != first)]
    if enquiry.status is EnquiryStatus.ANSWERED:
        return [doing for doing in order if doing == "take"]
    return order


def _stands(holder: Holder) -> str:
    """Where the enquiry stands, in a sentence."""
    enquiry, at = holder.enquiry, _at(holder.department)
    if enquiry.status is EnquiryStatus.TAKEN and enquiry.taken_at:
        return _(
            "Taken by %(who)s %(ago)s.", who=enquiry.taken_by, ago=_ago(enquiry.taken_at, now())
        )
    if enquiry.status is EnquiryStatus.ANSWERED and enquiry.first_answer_at:
        return _("Answered on %(when)s.", when=at(enquiry.first_answer_at)["text"])
    if enquiry.status is EnquiryStatus.CLOSED and enquiry.closed_at:
        return _("Closed on %(when)s.", when=at(enquiry.closed_at)["text"])
    if enquiry.status is EnquiryStatus.WITHDRAWN:
        return _("The visitor withdrew it. Nobody needs to answer.")
    if enquiry.status is EnquiryStatus.HELD:
        return _("It is held until somebody at the desk has looked at it.")
    return _("Nobody has taken it yet.")


def _taken(enquiry: Enquiry, address: str) -> str:
    """Who else has it, "" where nobody or this mailbox does."""
    taken = enquiry.status is EnquiryStatus.TAKEN and enquiry.taken_by != address
    return enquiry.taken_by if taken else ""


def _did(holder: Holder) -> str:
    """What the holder's mailbox just did, in a sentence."""
    assert holder.last is not None  # can_undo
    if holder.last.type == "taken":
        if holder.enquiry.reply_by is ReplyBy.EMAIL:
            return _("You have it. Reply in your mail program.")
        return _("You have it.")
    if holder.last.type == "closed":
        return _("Closed: no answer is needed.")
    return _("Marked as answered.")


def _ago(then: datetime, now: datetime) -> str:
    minutes = max(0, int((now - then).total_seconds()) // _MINUTE)
    if minutes < 1:
        return _("just now")
    if minutes < _MINUTE:
        return _("1 minute ago") if minutes == 1 else _("%(n)s minutes ago", n=minutes)
    hours = minutes // _MINUTE
    if hours < 24:
        return _("1 hour ago") if hours == 1 else _("%(n)s hours ago", n=hours)
    days = hours // 24
    return _("1 day ago") if days == 1 else _("%(n)s days ago", n=days)


def _at(department: Department) -> Any:
    zone = department.timezone or settings().site.timezone
    place = place_in_zone(department, settings(), language())
    return lambda instant: present.moment(instant, zone, place, language())


def _facts(enquiry: Enquiry, published: Published, department: Department) -> list[dict[str, Any]]:
    tag = language()
    topic = published.topic(enquiry.topic)
    question = question_of(topic.question) if topic and topic.question else None
    wants = {
        ReplyBy.EMAIL: _("an answer by email"),
        ReplyBy.PHONE: _("a call"),
        ReplyBy.NONE: _("no answer"),
    }
    at = _at(department)
    rows = [
        (_("Topic"), localised(enquiry.topic_label, tag)[0]),
        *answered(question, enquiry.answers, tag),
        (_("Subject"), enquiry.subject),
        (_("Name"), enquiry.name),
        (_("Organisation"), enquiry.organisation),
        (_("Wants"), wants[enquiry.reply_by]),
        (_("Email"), enquiry.email),
        (_("Phone"), enquiry.phone_typed),
        (_("Sent"), at(enquiry.received_at)["text"]),
        (_("Answer due"), at(enquiry.answer_by)["text"] if enquiry.answer_by else ""),
        (_("Tags"), ", ".join(enquiry.tags)),
    ]
    return [{"label": label, "text": text} for label, text in rows if text]


def _suggested(session: Session, published: Published, enquiry: Enquiry) -> list[tuple[str, str]]:
    """The departments its words speak for, best first: slug and name."""
    found: dict[str, str] = {}
    for suggestion in suggest_topics(published, f"{enquiry.subject}\n{enquiry.message}").topics:
        route = published.routes.topics.get(suggestion.topic.code)
        department = published.known(route.department) if route else None
        if department is not None and department.id != enquiry.department_id:
            found[department.slug] = localised(department.name, language())[0]
    return list(found.items())


def _passed_page(passed: Passed, *, status: int = 200) -> Response:
    asked = TAGS.get(request.args.get("lang", "").lower(), "")
    g.language = asked or language_of(passed.passing, settings())
    page = render_template(
        "staff/passed.html",
        ref=Reference(passed.enquiry.ref).display(settings().enquiry.reference_prefix),
        address=passed.address,
        name=localised(passed.department.name, language())[0],
        to_desk=passed.to_desk,
        can_undo=passed.can_undo,
        nonce=_STAFF.nonce(passed.named),
        version=passed.enquiry.version,
        robots="noindex",
    )
    return private(page, status)


def _refused(token: str, error: LinkRefused) -> Response:
    if error.reason == "forged":
        return errors.answer(404)
    with db().reading() as session:
        try:
            enquiry = enquiry_by_ref(session, token[:SYMBOLS])
        except NotFound:
            return errors.answer(404)
        if error.reason == "revoked":
            what = _(
                "The enquiry was passed on to another department, and its links went with it. "
                "Nobody else can act on it from your mail."
            )
        elif error.reason == "erased":
            what = _(
                "The details of the enquiry were deleted, and there is nothing left to answer. "
                "Please delete the mails about it, too."
            )
        else:
            what = _("The enquiry was closed more than 30 days ago, and its links have ended.")
        ref = Reference(enquiry.ref).display(settings().enquiry.reference_prefix)
    how = _(
        "To do something about it all the same, write to the desk below and quote %(ref)s.", ref=ref
    )
    return errors.answer(410, what=what, detail=how)
