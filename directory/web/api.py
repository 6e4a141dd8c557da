"""The JSON API: shapes and errors as documented, nothing stored by what is public here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from directory.domain.errors import InvalidValue
from directory.services.checking import KEYS, KINDS, check_one
from directory.services.suggestions import suggest_topics
from directory.web import errors
from directory.web.context import _, db, language, now, parts, settings
from directory.web.destination import destination_of
from directory.web.enquiry import choice_problems, enquiry_form

bp = Blueprint("api", __name__, url_prefix="/api/v1")

LONGEST_VALUE = 1_000

# The body of POST /enquiries. Here every field may be left out, null or half typed.
ENQUIRY_FIELDS = frozenset(
    {
        "topic",
        "department",
        "answer",
        "subject",
        "message",
        "name",
        "organisation",
        "reply_by",
        "email",
        "phone",
        "country",
        "reply_language",
        "consent",
        "consent_transfer",
        "from",
    }
)


@bp.after_request
def _for_everybody(response: Response) -> Response:
    """What is public here may be asked for from any page."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@bp.route("/validate", methods=["OPTIONS"])
@bp.route("/topic-suggestions", methods=["OPTIONS"])
@bp.route("/route-preview", methods=["OPTIONS"])
def preflight() -> ResponseReturnValue:
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = "POST"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type"
    response.headers["Access-Control-Max-Age"] = "86400"
    return response


@bp.post("/validate")
def validate() -> ResponseReturnValue:
    """One value judged: ``{"kind", "value", "region"}`` as in a line of ``directory check``."""
    line = _json_object()
    problems = [(f"/{key}", "field.unknown") for key in sorted(line.keys() - KEYS)]
    if line.get("kind") not in KINDS:
        problems.append(("/kind", "choice.unknown"))
    if not isinstance(line.get("value"), str) or len(line["value"]) > LONGEST_VALUE:
        problems.append(("/value", "value.required"))
    if not isinstance(line.get("region") or "", str):
        problems.append(("/region", "choice.unknown"))
    if problems:
        return _refused(_("There is a problem with this value"), problems)
    return _unkept(check_one(line))


@bp.post("/topic-suggestions")
def topic_suggestions() -> ResponseReturnValue:
    """The topics an enquiry may be about, at most three; none when unsure."""
    if not settings().features.suggestions:
        abort(404)
    body = _json_object()
    if problems := _misfits(body):
        return _refused(_("There is a problem with your enquiry"), problems)
    with db().reading() as session:
        published = parts().published(session, now())
    found = suggest_topics(published, f"{body.get('subject') or ''}\n{body.get('message') or ''}")
    return _unkept(
        {
            "suggestions": [
                {"topic": it.topic.code, "label": it.topic.label, "score": it.score}
                for it in found.topics
            ],
            "in_scope": found.in_scope,
        }
    )


@bp.post("/route-preview")
def route_preview() -> ResponseReturnValue:
    """Where an enquiry of these fields would go now; what ``#destination`` of the form says.

    The trace is for staff: it would tell strangers every rule.
    """
    body = _json_object()
    if problems := _misfits(body):
        return _refused(_("There is a problem with your enquiry"), problems)
    fields = MultiDict({name: value for name, value in body.items() if value is not None})
    with db().reading() as session:
        published = parts().published(session, now())
        form = enquiry_form(language(), session, published, fields)
        if problems := choice_problems(form):
            return _refused(_("There is a problem with your enquiry"), problems)
        found = destination_of(language(), session, published, form)
    return _unkept(
        {
            "destination": {
                "department": found.department.slug,
                "name": found.department.name,
                "reason": found.decision.reason,
                "rule": found.decision.rule,
            },
            "certain": found.certain,
            "reply_time": {
                "target_working_days": found.reply_days,
                "typical_working_days": found.department.typical_days,
                "sample": found.department.typical_of
                if found.department.typical_days is not None
                else 0,
            },
            "notices": list(found.notices),
            "trace": None,
        }
    )


def _misfits(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is no field of an enquiry, or no text, as (JSON pointer, code)."""
    unknown = [(f"/{key}", "field.unknown") for key in sorted(body.keys() - ENQUIRY_FIELDS)]
    texts = sorted(key for key in body.keys() & ENQUIRY_FIELDS if body[key] is not None)
    return unknown + [(f"/{key}", "field.text") for key in texts if not isinstance(body[key], str)]


def _refused(title: str, problems: list[tuple[str, str]]) -> Response:
    return errors.problem(
        422,
        title=title,
        problems=[(p, code, InvalidValue(code).text(language())) for p, code in problems],
    )


def _unkept(value: Mapping[str, Any]) -> Response:
    response = jsonify(value)
    response.headers["Cache-Control"] = "no-store"
    return response


def _json_object() -> dict[str, Any]:
    """The request's JSON object. Raises the errors that become 400 and 415."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    try:
        value = json.loads(request.get_data())
    except (ValueError, RecursionError):
        raise BadRequest from None
    if not isinstance(value, dict):
        raise BadRequest
    return value
