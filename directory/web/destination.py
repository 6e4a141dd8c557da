"""Where an enquiry goes, before it is sent and after: one answer for form, API and confirmation.

The form's ``#destination``, the API's ``route-preview`` and what is done with a form that was sent
all ask the same ``decide`` with the same facts. What a form that is still being written cannot know
(its words, the language they are in, whether its writer wrote before) makes the answer uncertain,
never different.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from directory.adapters.queries import Published, department_ever_called
from directory.domain.conditions import Facts, Routes
from directory.domain.contacts import Department, Topic, localised
from directory.domain.enquiry import Decision, Enquiry
from directory.domain.errors import NotFound, Unavailable
from directory.domain.routing import decide, may_change, origin_of
from directory.domain.when import format_day
from directory.services.contacts import answer_by, hours_of, reply_days_of, usual_days_of
from directory.web import present
from directory.web.context import _, now, settings
from directory.web.forms import EnquiryForm

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Destination:
    """Where *form* goes as it stands.

    ``certain`` is False while words, the language of the text or a look at earlier enquiries may
    still lead elsewhere; ``words_count`` says that words are part of that. ``reply_days`` is the
    answer target in working days, ``usual_days`` within how many an answer usually comes;
    ``notices`` what else is to be known, each with its code.
    """

    department: Department
    decision: Decision
    certain: bool
    words_count: bool
    reply_days: int
    usual_days: int
    notices: tuple[dict[str, str], ...]

    def panel(self, lang: str) -> dict[str, Any]:
        """The same for ``#destination``."""
        why = localised(self.decision.why, lang)[0] if self.decision.reason == "rule" else ""
        may_change = ""
        if not self.certain and self.words_count:
            may_change = _("What you write may still change this.")
        elif not self.certain:
            may_change = _("Whether you wrote to us before may still change this.")
        return present.destination(
            self.department,
            language=lang,
            reply_days=self.usual_days,
            certain=self.certain,
            rule_text=_("Because %(why)s.", why=why) if why else "",
            may_change=may_change,
            notices=self.notices,
        )


def destination_of(
    lang: str, session: Session | None, published: Published, form: EnquiryForm
) -> Destination:
    """Where *form* would go if it were sent now; without *session*, as far as memory knows."""
    facts = facts_of_form(form)
    routes, decision, department = decided(session, published, facts)
    topic = published.topic(facts.topic)
    days = decision.outcome.get("target_days")
    certain = not may_change(facts, published.rules, routes)
    return Destination(
        department=department,
        decision=decision,
        certain=certain,
        words_count=not certain
        and any(
            may_change(replace(facts, returning=wrote), published.rules, routes)
            for wrote in (False, True)
        ),
        reply_days=days or reply_days_of(department, topic, settings=settings()),
        usual_days=days or usual_days_of(department, topic, settings=settings()),
        notices=(
            *_covered(published, routes, department, decision, lang),
            *present.closed_notices(department, lang, now(), settings()),
            *_late(department, topic, days, lang),
        ),
    )


def facts_of_form(form: EnquiryForm) -> Facts:
    """What is known while the form is being written; nobody looks whether its writer is known."""
    return Facts(
        topic=form.topic.data or "",
        department=form.department.data or "",
        reply_language=form.reply_language.data or "any",
        country=(form.country.data or "").strip().upper(),
        text=f"{form.subject.data or ''}\n{form.message.data or ''}",
        at=now(),
        source=form.source,
        origin=origin_of(form.source),
        answers=form.answers,
        complete=False,
    )


def decided(
    session: Session | None, published: Published, facts: Facts
) -> tuple[Routes, Decision, Department]:
    """Where *facts* lead: the same ``decide`` that is asked when the form is sent."""
    routes = published.routes
    if session is not None:
        routes = published.routes_with(session, facts.department)
    decision = decide(facts, published.rules, routes)
    if session is not None:
        return routes, decision, published.department_of(session, decision)
    # Memory knows every department that rules and topics name, and the desk for any other.
    named = (it.slug for it in routes.targets.values() if it.id == decision.department_id)
    department = published.known(next(named, "")) or published.known(published.desk)
    if department is None:
        raise Unavailable("no desk")
    return routes, decision, department


# Notices


def _covered(
    published: Published, routes: Routes, receiver: Department, decision: Decision, lang: str
) -> list[dict[str, str]]:
    """Who reads it in another's place. A mailbox is never named, only whose it is."""
    for passed in decision.passed_over:
        mailbox = routes.mailboxes.get(passed)
        slug = mailbox.department if mailbox else passed
        if slug == receiver.slug or slug not in routes.targets:
            continue
        name = localised(receiver.name, lang)[0]
        other = localised(routes.department_name(slug), lang)[0]
        code = "desk" if receiver.slug == published.desk else "covered"
        text = _("%(name)s reads it in place of %(other)s.", name=name, other=other)
        return [{"code": code, "text": text}]
    return []


def _late(
    department: Department, topic: Topic | None, days: int | None, lang: str
) -> list[dict[str, str]]:
    """Holidays and closures on the way to the answer: weekdays that do not count."""
    due = answer_by(department, topic, settings=settings(), received=now(), days=days)
    hours = hours_of(department, settings=settings())
    zone = ZoneInfo(department.timezone or settings().site.timezone)
    today, last = now().astimezone(zone).date(), due.astimezone(zone)
    between = (today + timedelta(n) for n in range((last.date() - today).days))
    calendar = settings().sla.calendar
    if not any(
        day.weekday() < _SATURDAY
        and (not calendar.is_working_day(day) or (hours and hours.closure(day)))
        for day in between
    ):
        return []
    text = _("Later than usual, because of holidays: by %(day)s.", day=format_day(last, lang))
    return [{"code": "late", "text": text}]


# After it was sent


def elsewhere(
    session: Session,
    enquiry: Enquiry,
    decision: Decision,
    lang: str,
    *,
    own: bool,
) -> str:
    """That *enquiry* went, by *decision*, elsewhere than the form showed; "" where it did not.

    Why, only in the visitor's *own* browser: the words of a rule are words of the message, and
    somebody else may hold the link.
    """
    department = session.get_one(Department, decision.department_id)
    if not enquiry.shown or enquiry.shown == department.slug:
        return ""
    try:
        # Shown by the name it had then.
        if department_ever_called(session, enquiry.shown).id == department.id:
            return ""
    except NotFound:
        return ""  # no page of ours showed that
    name, why = localised(department.name, lang)[0], localised(decision.why, lang)[0]
    if not own:
        return _("We sent it to %(name)s instead.", name=name)
    if decision.reason == "rule":
        rule = localised(decision.rule_name, lang)[0]
        return _(
            "We sent it to %(name)s instead, because %(why)s (rule “%(rule)s”).",
            name=name,
            why=why,
            rule=rule,
        )
    return _("We sent it to %(name)s instead, because %(why)s.", name=name, why=why)
