"""The JSON API: shapes and errors as documented, nothing stored by what is public here."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from directory.domain.errors import InvalidValue
from directory.services.checking import KEYS, KINDS, check_one
from directory.web import errors
from directory.web.context import _, language

bp = Blueprint("api", __name__, url_prefix="/api/v1")

LONGEST_VALUE = 1_000


@bp.after_request
def _for_everybody(response: Response) -> Response:
    """What is public here may be asked for from any page."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@bp.route("/validate", methods=["OPTIONS"])
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
        return errors.problem(
            422,
            title=_("There is a problem with this value"),
            problems=[(p, code, InvalidValue(code).text(language())) for p, code in problems],
        )
    response = jsonify(check_one(line))
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
