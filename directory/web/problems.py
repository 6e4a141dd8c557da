"""The pages that the types of our problem documents (RFC 9457) are addresses of."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue

from directory.web.context import _

bp = Blueprint("problems", __name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of refusal: its HTTP statuses, what happened, and what to do about it."""

    status: str
    title: str
    meaning: str
    remedy: str


@bp.get("/problems/")
def index() -> ResponseReturnValue:
    return render_template("public/problems.html", problems=problems(), robots="noindex")


@bp.get("/problems/<type>")
def problem(type: str) -> ResponseReturnValue:
    """One kind. 404 for one that no answer of ours names."""
    found = problems().get(type)
    if found is None:
        abort(404)
    return render_template("public/problem.html", type=type, problem=found, robots="noindex")


def problems() -> dict[str, Problem]:
    """Every kind by the last part of its address, in the language of this request."""
    return {
        "validation": Problem(
            "422",
            _("A value was refused"),
            _(
                "The request was understood, but one or more of its values break their rules. "
                "Each entry of “errors” names the place of one (a JSON pointer), a code that "
                "stays the same in every language, and a sentence for people."
            ),
            _("Correct the values named and send the request again. It was not stored."),
        ),
        "bad-request": Problem(
            "400",
            _("This request cannot be read"),
            _("The body is not the JSON it should be, or the address or host is not ours."),
            _("Check the syntax of the body and the address, then send it again."),
        ),
        "unauthorized": Problem(
            "401",
            _("No valid key was given"),
            _("This part of the interface needs a key in the Authorization header."),
            _("Send “Authorization: Bearer” and a key that has not been revoked."),
        ),
        "forbidden": Problem(
            "403",
            _("This is not allowed"),
            _("The key or the account is known, but may not do this."),
            _("Ask an administrator for the scope or role it takes."),
        ),
        "origin-not-allowed": Problem(
            "403",
            _("This website may not send enquiries"),
            _("Enquiries are taken from listed websites or with a key. This one is not listed."),
            _("Ask an administrator to add the origin of the page that sends."),
        ),
        "not-found": Problem(
            "404",
            _("There is nothing at this address"),
            _("No record has this name, or none that may be shown."),
            _("Look the name up in the list; a department that was renamed redirects."),
        ),
        "not-allowed": Problem(
            "405",
            _("This address does not take that method"),
            _("The address exists, but not for this HTTP method."),
            _("Use one of the methods in the Allow header."),
        ),
        "conflict": Problem(
            "409",
            _("Somebody else was there first"),
            _(
                "The record has changed since you read it, or the same request is still being "
                "worked on."
            ),
            _("Read the record again and repeat your change on what it says now."),
        ),
        "gone": Problem(
            "410",
            _("This link has ended"),
            _("The link was made for one purpose and a limited time, and either has passed."),
            _("Ask for a new link."),
        ),
        "precondition": Problem(
            "412, 428",
            _("The record is not the one you read"),
            _(
                "A change must say which version it changes, in the If-Match header. The header is "
                "missing (428) or names an older version (412)."
            ),
            _("Read the record, send its ETag as If-Match, and try again."),
        ),
        "too-large": Problem(
            "413",
            _("This is too large"),
            _("The request is larger than this address takes. Nothing of it was stored."),
            _("Send less at once."),
        ),
        "media-type": Problem(
            "415",
            _("This media type is not taken here"),
            _("The Content-Type header names a format that this address does not read."),
            _("Send JSON with “Content-Type: application/json”."),
        ),
        "idempotency-reuse": Problem(
            "422",
            _("This idempotency key was used for another request"),
            _("A key stands for one request. The same key came with another body."),
            _("Take a new key for a new request."),
        ),
        "rate-limited": Problem(
            "429",
            _("Too many requests"),
            _("Many requests came from your network in a short time. This one was not stored."),
            _("Wait as many seconds as the Retry-After header says."),
        ),
        "unavailable": Problem(
            "503",
            _("The service cannot take this now"),
            _("The database is busy or away. Nothing of this request was stored."),
            _("Send the same request again after a moment, with the same idempotency key."),
        ),
        "error": Problem(
            "500",
            _("Something failed on our side"),
            _("The fault is ours, and it has been written down."),
            _("Try again later. If it stays, write to us and name the “instance” of the answer."),
        ),
    }
