"""The mailbox of a demo: what was sent so far. Only where no mail leaves by SMTP."""

from __future__ import annotations

import email
import email.policy
from datetime import datetime
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, jsonify, render_template, url_for
from flask.typing import ResponseReturnValue

from directory.adapters.mail import is_loopback
from directory.adapters.mailbox import read_mailbox, read_message
from directory.services.contacts import place_in_zone
from directory.web import present
from directory.web.context import language, parts, settings

bp = Blueprint("dev", __name__)


@bp.before_request
def _only_at_home() -> None:
    """404 once mail leaves by SMTP, and in a production that others can reach."""
    if parts().mailbox is None:
        abort(404)
    host = urlsplit(settings().site.base_url).hostname or ""
    if settings().env == "production" and not is_loopback(host):
        abort(404)


@bp.after_request
def _keep_no_copy(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/dev/mailbox")
def mailbox() -> ResponseReturnValue:
    folder = parts().mailbox
    assert folder is not None
    return render_template(
        "public/mailbox.html",
        mails=[_shown(kept.as_json()) for kept in read_mailbox(folder)],
        folder=folder.name,
        robots="noindex",
    )


@bp.get("/dev/mailbox.json")
def mailbox_json() -> ResponseReturnValue:
    folder = parts().mailbox
    assert folder is not None
    return jsonify(items=[kept.as_json() for kept in read_mailbox(folder)])


@bp.get("/dev/mailbox/<message_id>.eml")
def source(message_id: str) -> ResponseReturnValue:
    folder = parts().mailbox
    assert folder is not None
    response = Response(read_message(folder, message_id), mimetype="message/rfc822")
    response.headers["Content-Disposition"] = f'attachment; filename="{message_id}.eml"'
    return response


@bp.get("/dev/mailbox/<message_id>")
def one(message_id: str) -> ResponseReturnValue:
    folder = parts().mailbox
    assert folder is not None
    raw = read_message(folder, message_id)
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    kept = next(kept for kept in read_mailbox(folder) if kept.as_json()["id"] == message_id)
    return render_template(
        "public/mail.html",
        mail={**_shown(kept.as_json()), "size": len(raw)},
        headers=[(name, str(value)) for name, value in parsed.items()],
        text=_part(parsed, "plain"),
        html=_part(parsed, "html"),
        back_url=url_for("dev.mailbox"),
        robots="noindex",
    )


def _part(parsed: EmailMessage, kind: str) -> str:
    part = parsed.get_body(preferencelist=(kind,))
    return str(part.get_content()) if part is not None else ""


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    received = datetime.fromisoformat(item["received_at"])
    zone = settings().site.timezone
    place = place_in_zone(None, settings(), language())
    return {
        **item,
        "received_at": present.moment(received, zone, place, language()),
        "url": url_for("dev.one", message_id=item["id"]),
        "eml_url": url_for("dev.source", message_id=item["id"]),
    }
