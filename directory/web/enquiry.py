"""The enquiry form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import phonenumbers
import structlog
from babel import Locale
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
from werkzeug.datastructures import MultiDict

from directory.adapters.links import TokenState
from directory.adapters.queries import (
    Published,
    department_ever_called,
    department_rows,
)
from directory.domain.contacts import Department, DepartmentStatus, localised
from directory.domain.enquiry import Enquiry, ReplyBy
from directory.domain.errors import InvalidValue, NotFound, RateLimited, Unavailable
from directory.domain.questions import Question, question_of
from directory.domain.text import message_text
from directory.domain.values import Reference
from directory.services.contacts import country_of, place_in_zone
from directory.services.enquiries import (
    AlreadySent,
    sent_before,
    submit_enquiry,
)
from directory.services.suggestions import suggest_topics
from directory.web import errors, present
from directory.web.context import (
    SEGMENTS,
    _,
    db,
    now,
    parts,
    sender,
    settings,
)
from directory.web.department_page import successor_of
from directory.web.destination import decided, destination_of, facts_of_form
from directory.web.forms import EnquiryForm
from directory.web.public import months
from directory.web.visitor import to_page

log = structlog.get_logger(__name__)

bp = Blueprint("enquiry", __name__)


@bp.get("/<lang:lang>/enquiries/new")
def new(lang: str) -> ResponseReturnValue:
    """Without a topic or department: which topic? With one: the form."""
    asked = {name: request.args.get(name, "")[:500] for name in ("topic", "department")}
    with db().reading() as session:
        published = parts().published(session, now())
        if asked["department"]:
            asked["department"] = _called_now(session, asked["department"])
        if not any(asked.values()) and published.topics:
            pressed = "go" in request.args
            problem = InvalidValue("topic.required") if pressed else None
            return _topic_page(lang, published, _carried(request.args), problem=problem)
        form = enquiry_form(
            lang,
            session,
            published,
            MultiDict(
                {
                    **asked,
                    "subject": request.args.get("subject", "")[:500],
                    "from": request.args.get("from", "")[:500] or _referring_page(),
                    "reply_language": lang,
                }
            ),
        )
        form.form_token.data = parts().signer.form_token(now())
        problems = _unknown_choice(form)
        return _form_page(lang, session, published, form, problems, status=200)


def _called_now(session: Session, slug: str) -> str:
    """The slug of the department once called *slug*, or of who took over from it.

    Links to the form stand on other people's pages for years.
    """
    try:
        found = department_ever_called(session, slug)
        if found.status is DepartmentStatus.CLOSED:
            found = successor_of(session, found)
    except NotFound:
        return slug  # the form says so beside its field
    return found.slug


@bp.get("/<lang:lang>/enquiries")
def bare(lang: str) -> ResponseReturnValue:
    """Somebody reloaded or bookmarked the address forms are posted to."""
    return redirect(url_for("enquiry.new", lang=lang), 302)


@bp.post("/<lang:lang>/enquiries")
def send(lang: str) -> ResponseReturnValue:
    """Check, keep, answer with the visitor's page."""
    action = request.form.get("action", "send")
    try:
        if action == "suggest":
            return _suggest(lang)
        if action == "change":
            with db().reading() as session:
                published = parts().published(session, now())
                form = enquiry_form(lang, session, published, request.form)
                _fresh_if_needed(form)
                if request.args.get("part") == "where":
                    return _where_part(lang, session, published, form)
                problems = _unknown_choice(form)
                return _form_page(
                    lang, session, published, form, problems, status=200, choosing=True
                )
        return _submit(lang)
    except Unavailable as error:
        log.error("enquiry.not_stored", cause=str(error))
        return _unavailable(lang)


def _submit(lang: str, *, look: bool = False) -> ResponseReturnValue:
    """Keep what was sent, or say what is wrong with it.

    A form that is right costs one transaction: it is checked by what this process knows, and the
    transaction that keeps it asks whether that still holds and whether the form came before. Only
    where something is in the way, or with *look*, is the database looked at first.
    """
    signer = parts().signer
    token = request.form.get("form_token", "")
    token_state = signer.read_form_token(token, now())
    known = parts().last_published
    look = look or known is None or token_state is not TokenState.VALID
    with db().reading() as session:  # opened by its first question, if there is one
        published = parts().published(session, now()) if look or known is None else known
        form = enquiry_form(lang, session, published, request.form)
        if not form.validate() and not look:
            look, published = True, parts().published(session, now())
            if published is not known:
                form = enquiry_form(lang, session, published, request.form)
                form.validate()
        problems = form.problems()
        if not problems:
            submission = form.submission(consent=_consent(form))
        if look and not problems:
            # A used token is known before its age is judged: who presses twice, or comes back
            # a day later, is shown what the first press did.
            try:
                if earlier := sent_before(session, submission):
                    return to_page(earlier)
            except AlreadySent as error:
                ref = Reference(error.ref).display(settings().enquiry.reference_prefix)
                problems = [("", InvalidValue("form.already_sent", ref=ref).text(lang))]
                form.form_token.data = signer.form_token(now())
        if token_state is not TokenState.VALID:
            form.form_token.data = signer.form_token(now())
            if not problems:
                problems = [("", InvalidValue("form.expired").text(lang))]
        if problems:
            return _form_page(lang, session, published, form, problems, status=422)
    enquiry: Enquiry | None = None
    try:
        with db().writing() as session:
            current = parts().published(session, now())
            if look or current is published:
                enquiry = submit_enquiry(
                    session,
                    submission,
                    published=current,
                    settings=settings(),
                    signer=signer,
                    now=now(),
                    sender=sender(),
                    held="honeypot" if (form.leave_blank.data or "").strip() else "",
                )
    except AlreadySent:
        # With different words, perhaps at the same moment: looked at, it is known by now.
        return _submit(lang, look=True)
    except RateLimited as limited:
        return _flooded(lang, form, limited)
    if enquiry is None:  # what the form was checked by is out of date
        return _submit(lang, look=True)
    parts().doorbell.ring()
    return to_page(enquiry)


# Answers


def _unavailable(lang: str) -> Response:
    """503 with the text still in the form; without the database, what can be shown from memory."""
    try:
        with db().reading() as session:
            published = parts().published(session, now())
            form = enquiry_form(lang, session, published, request.form)
            _fresh_if_needed(form)
            response = _form_page(lang, session, published, form, [], status=503, unavailable=True)
    except Unavailable:
        known = parts().last_published
        if known is None:
            return errors.answer(503)
        form = enquiry_form(lang, None, known, request.form)
        response = _form_page(lang, None, known, form, [], status=503, unavailable=True)
    response.headers["Retry-After"] = "30"
    return response


def _flooded(lang: str, form: EnquiryForm, limited: RateLimited) -> Response:
    with db().reading() as session:
        published = parts().published(session, now())
        desk = published.known(published.desk)
        ring = present.phone_to_ring(desk, lang, settings()) if desk else None
        zone = (desk.timezone if desk else "") or settings().site.timezone
        again = present.moment(limited.again_at, zone, place_in_zone(desk, settings(), lang), lang)
        text = InvalidValue(
            "form.rate_limited",
            n=limited.count,
            # The visitor's clock may be hours from ours.
            time=_("%(time)s (%(zone)s)", time=again["text"][-5:], zone=again["zone"]),
            phone=ring["display"] if ring else settings().mail.from_,
        ).text(lang)
        response = _form_page(lang, session, published, form, [("", text)], status=429)
    wait = (limited.again_at - now()).total_seconds()
    response.headers["Retry-After"] = str(max(1, int(wait)))
    return response


def _suggest(lang: str) -> Response:
    """The topics a few words may be about, on the page where a topic is chosen.

    By POST, and on into the form by POST: what somebody describes stands in no address, where it
    would be kept by the browser and by every log on the way.
    """
    if not settings().features.suggestions:
        abort(404)
    with db().reading() as session:
        published = parts().published(session, now())
    typed = request.form.get("message", "")
    carried = _carried(request.form)
    try:
        text = message_text(typed)
    except InvalidValue as error:
        return _topic_page(lang, published, carried, described=typed, misdescribed=error)
    topics = present.topics_by_code(published, lang, settings())
    found = suggest_topics(published, text)
    offers = [topics[offer.topic.code] for offer in found.topics]
    return _topic_page(lang, published, carried, described=text, offers=offers)


def _carried(given: Mapping[str, str]) -> list[tuple[str, str]]:
    """What came with the way here and goes on into the form."""
    values = {"subject": given.get("subject", ""), "from": given.get("from") or _referring_page()}
    return [(name, value[:500]) for name, value in values.items() if value]


def _topic_page(
    lang: str,
    published: Published,
    carried: list[tuple[str, str]],
    *,
    problem: InvalidValue | None = None,
    described: str = "",
    misdescribed: InvalidValue | None = None,
    offers: Sequence[dict[str, Any]] | None = None,
) -> Response:
    """Screen A; *offers* are the topics suggested for what was *described*, None for not asked."""
    wrong = [("f-topic", problem), ("f-message", misdescribed)]
    page = render_template(
        "public/enquiry_topic.html",
        groups=present.topic_groups(published, lang, settings()),
        chosen="",
        errors=[(control, error.text(lang)) for control, error in wrong if error],
        topic_error=problem.text(lang) if problem else "",
        message_error=misdescribed.text(lang) if misdescribed else "",
        next_url=url_for("enquiry.new", lang=lang),
        send_url=url_for("enquiry.send", lang=lang),
        send_url_in=lambda tag: url_for("enquiry.send", lang=tag),
        carried=carried,
        suggesting=settings().features.suggestions,
        described=described,
        offers=offers,
        desk=published.desk,
        robots="noindex" if described or problem or misdescribed else "",
        here=url_for("enquiry.new", lang=lang),
    )
    response = make_response(page, 422 if problem or misdescribed else 200)
    if described:
        response.headers["Cache-Control"] = "no-store"
    return response


def _form_page(
    lang: str,
    session: Session | None,
    published: Published,
    form: EnquiryForm,
    problems: list[tuple[str, str]],
    *,
    status: int,
    choosing: bool = False,
    unavailable: bool = False,
) -> Response:
    rows = department_rows(session) if session is not None else []
    page = render_template(
        "public/enquiry.html",
        **_where(lang, session, published, form),
        errors=problems,
        topic_groups=present.topic_groups(published, lang, settings()),
        departments=[(row.slug, localised(row.name, lang)[0], row.depth) for row in rows],
        countries=_countries(lang),
        action_url=url_for("enquiry.send", lang=lang),
        action_url_in=lambda tag: url_for("enquiry.send", lang=tag),
        unavailable=unavailable,
        form_off=False,
        choosing=choosing,
        robots="noindex" if status != 200 else "",
        here=url_for("enquiry.new", lang=lang),
    )
    response = make_response(page, status)
    if request.method != "GET":
        # What somebody typed is in it. The empty form may be kept by the browser: with the Back
        # button it comes again with the token it had, so that what was sent is known as sent.
        response.headers["Cache-Control"] = "no-store"
    return response


def _where_part(lang: str, session: Session, published: Published, form: EnquiryForm) -> Response:
    """Only what says where it goes, for a page that is open already."""
    shown = _where(lang, session, published, form)
    response = make_response(render_template("public/enquiry_where.html", **shown))
    response.headers["Cache-Control"] = "no-store"
    return response


def _where(
    lang: str, session: Session | None, published: Published, form: EnquiryForm
) -> dict[str, Any]:
    """What _enquiry_parts.html expects."""
    destination = destination_of(lang, session, published, form)
    form.shown.data = destination.department.slug
    ring, ring_open = _to_ring(published, destination.department, lang)
    return {
        "form": form,
        "question": present.question(form.question, lang) if form.question else None,
        "destination": destination.panel(lang),
        "ring": ring,
        "ring_open": ring_open,
        "keep_months": months(settings().privacy.retention_days),
        "rights_url": url_for("public.privacy", lang=lang),
        "dpo_texts": _consent_texts(destination.department, form, lang),
    }


def _to_ring(published: Published, department: Department, lang: str) -> tuple[Any, Any]:
    """A number to ring instead, the department's or the desk's, and whether somebody is there."""
    desk = published.known(published.desk)
    for answering in (department, desk):
        if answering and (ring := present.phone_to_ring(answering, lang, settings())):
            return ring, present.open_state(answering, lang, now(), settings())
    return None, present.open_state(desk, lang, now(), settings()) if desk else None


def _transfer(
    session: Session | None, published: Published, form: EnquiryForm
) -> dict[str, object]:
    """What a visitor must agree to because details would leave their country; {} for nothing."""
    asked = settings().privacy.transfer_consent
    if not asked:
        return {}
    _, _, department = decided(session, published, facts_of_form(form))
    default = settings().site.default_country
    here, there = (form.country.data or default).upper(), country_of(department) or default
    if not any((pair.from_, pair.to) == (here, there) for pair in asked):
        return {}
    return {"dept": department.name, "country": there}


# The form


def enquiry_form(
    lang: str,
    session: Session | None,
    published: Published,
    data: MultiDict[str, str] | Mapping[str, str],
) -> EnquiryForm:
    """The form as *data* fills it in: of the page in language *lang*, or of a program's request."""
    consent = settings().privacy.consent == "checkbox"

    def department_offered(slug: str) -> bool:
        if session is None:
            return published.known(slug) is not None
        return published.department(session, slug) is not None

    form = EnquiryForm(
        data,
        language=lang,
        topic_offered=lambda code: published.topic(code) is not None,
        department_offered=department_offered,
        is_country=lambda code: code in phonenumbers.SUPPORTED_REGIONS,
        default_country=settings().site.default_country,
        question=lambda code: _question(published, code),
        smtputf8=settings().mail.smtputf8,
        consent=consent,
    )
    if not form.reply_by.data:
        form.reply_by.data = ReplyBy.EMAIL.value
    if not form.reply_language.data:
        form.reply_language.data = lang
    form.ask_transfer(_transfer(session, published, form))
    return form


def _question(published: Published, topic: str) -> Question | None:
    found = published.topic(topic)
    return question_of(found.question) if found else None


def choice_problems(form: EnquiryForm) -> list[tuple[str, str]]:
    """(JSON pointer, code) of what is wrong with topic and department alone.

    The rest of the form may still be being written: no topic at all is no error either.
    """
    for name in ("topic", "department"):
        if (form[name].data or "").strip():
            form[name].validate(form, [getattr(EnquiryForm, f"validate_{name}")])
    return [(f"/{name}", code) for name, code in form.codes.items()]


def _unknown_choice(form: EnquiryForm) -> list[tuple[str, str]]:
    """Errors of topic and department alone: the rest of the form is still being written."""
    for name in ("topic", "department"):
        form[name].validate(form, [getattr(EnquiryForm, f"validate_{name}")])
    return [(f"f-{n}", str(error)) for n in ("topic", "department") for error in form[n].errors]


def _fresh_if_needed(form: EnquiryForm) -> None:
    """Keep a token that is still good, so that a second press stays one enquiry."""
    signer = parts().signer
    state = signer.read_form_token(form.form_token.data or "", now())
    if state is not TokenState.VALID:
        form.form_token.data = signer.form_token(now())


def _consent(form: EnquiryForm) -> str:
    """Which texts were agreed to, by their version."""
    told = ["checkbox 1" if settings().privacy.consent == "checkbox" else "notice 1"]
    if form.transfer:
        told.append(f"transfer {form.transfer['country']} 1")
    return ", ".join(told)


def _consent_texts(department: Department, form: EnquiryForm, lang: str) -> dict[str, str]:
    name = localised(department.name, lang)[0]
    texts = {"consent": _("I agree that %(name)s uses my details to answer me.", name=name)}
    if form.transfer:
        country = parts().countries[str(form.transfer["country"])][lang]
        texts["consent_transfer"] = _(
            "I agree that %(name)s in %(country)s receives my details.", name=name, country=country
        )
    return texts


@cache
def _countries(lang: str) -> list[tuple[str, str]]:
    territories = Locale.parse("zh_Hans" if lang == "zh-Hans" else "en").territories
    found = [(code, str(territories.get(code, code))) for code in phonenumbers.SUPPORTED_REGIONS]
    # GB 2312 puts its common characters in the order of their pinyin, which GB 18030 keeps; a
    # pinyin dictionary would cost each process 40 MB for this one list.
    encoding = "gb18030" if lang == "zh-Hans" else "utf-8"
    return sorted(found, key=lambda pair: pair[1].encode(encoding))


def _referring_page() -> str:
    """The page of ours that led here; the form's own pages led nowhere."""
    base, referrer = settings().site.base_url, request.referrer or ""
    path = referrer.removeprefix(base) if referrer.startswith(f"{base}/") else ""
    own = {url_for(f"enquiry.{name}", lang=tag) for name in ("new", "send") for tag in SEGMENTS}
    return referrer if path and urlsplit(path).path not in own else ""
