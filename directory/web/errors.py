"""Our errors as pages and as RFC 9457 problems, in one place."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from flask import Flask, Response, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from directory.domain.errors import (
    Conflict,
    DirectoryError,
    InvalidValue,
    LinkRefused,
    NotFound,
    RateLimited,
    Unavailable,
)
from directory.web.context import _, language

log = structlog.get_logger(__name__)

# RFC 9457 problem types by status; each is an address below /problems/.
TYPES = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "not-allowed",
    409: "conflict",
    410: "gone",
    413: "too-large",
    415: "media-type",
    422: "validation",
    429: "rate-limited",
    503: "unavailable",
}


def install(app: Flask) -> None:
    """Answer every error of *app* with a page or a problem, never with a trace."""
    app.register_error_handler(DirectoryError, _ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def status_of(error: DirectoryError) -> int:
    """The HTTP status that *error* is."""
    match error:
        case NotFound():
            return 404
        case LinkRefused():
            return 404 if error.reason == "forged" else 410
        case InvalidValue():
            return 422
        case RateLimited():
            return 429
        case Unavailable():
            return 503
        case Conflict():
            return 409
    return 500


def _ours(error: DirectoryError) -> ResponseReturnValue:
    status = status_of(error)
    if status == 503:
        log.error("request.unavailable", path=request.path, cause=str(error))
    return answer(status)


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error.get_response()
    response = answer(error.code)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> ResponseReturnValue:
    # The id is all that leaves: the trace may hold what somebody typed, so it stays out of the
    # log's message and of the page.
    number = uuid.uuid4().hex[:12]
    log.error(
        "request.failed", id=number, path=request.path, error=type(error).__name__, exc_info=error
    )
    return answer(500)


def wants_problem() -> bool:
    """Whether the asker is a program: an API address, or JSON asked for before HTML."""
    if request.path.startswith("/api/"):
        return True
    accepted = request.accept_mimetypes
    best = accepted.best_match(["text/html", "application/problem+json", "application/json"])
    return best is not None and best != "text/html"


def answer(status: int, **context: Any) -> Response:
    """A page or problem for *status*; if even that fails, a plain page that needs nothing."""
    if wants_problem():
        return problem(status)
    try:
        if status in {500, 503}:
            page = plain_page()
        else:
            page = render_template("public/error.html", code=status, robots="noindex", **context)
    except Exception as error:
        log.error("request.no_page", status=status, error=type(error).__name__, exc_info=error)
        page = plain_page()
    response = make_response(page, status)
    response.headers["Cache-Control"] = "no-store"
    if status in {429, 503}:
        response.headers.setdefault("Retry-After", "60")
    return response


def plain_page() -> str:
    """Both languages, the desk as last known, no database."""
    from directory.web.shell import last_known_desks, names

    return render_template("public/unavailable.html", desks=last_known_desks(), names=names())


def problem(
    status: int,
    *,
    title: str = "",
    problems: Sequence[tuple[str, str, str]] = (),
) -> Response:
    """An RFC 9457 problem document; *problems* are JSON pointer, code and sentence each."""
    titles = {
        400: _("This request cannot be read"),
        403: _("This is not allowed"),
        404: _("There is nothing at this address"),
        405: _("This address does not take that method"),
        410: _("This link has ended"),
        413: _("This is too large"),
        415: _("This media type is not taken here"),
        429: _("Too many requests"),
        503: _("The service cannot take this now"),
    }
    response = jsonify(
        type=f"/problems/{TYPES.get(status, 'error')}",
        title=title or titles.get(status, _("Something failed on our side")),
        status=status,
        detail=_detail(len(problems)) if problems else None,
        instance=f"urn:uuid:{uuid.uuid4()}",
        errors=[
            {"pointer": pointer, "code": code, "detail": text} for pointer, code, text in problems
        ],
    )
    response.status_code = status
    response.content_type = "application/problem+json"
    response.headers["Content-Language"] = language()
    response.headers["Cache-Control"] = "no-store"
    return response


def _detail(count: int) -> str:
    if count == 1:
        return _("1 field needs attention")
    return _("%(count)s fields need attention", count=count)
