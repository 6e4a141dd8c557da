"""The whole public directory as one file, sent while it is written."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from directory.adapters.formats import FORMATS
from directory.adapters.queries import version_of_directory
from directory.services import exports
from directory.web.cards import for_everybody
from directory.web.context import db, now, settings, takes_gzip

bp = Blueprint("downloads", __name__)

# Bytes gathered before they are sent: few system calls, and little memory.
_PIECE: Final = 64 * 1024
# Raised when the same records become other bytes, so that no one is told to keep the old ones.
_WRITTEN: Final = 1


def _write(session: Session, lang: str, form: str) -> Iterator[str]:
    match form:
        case "csv":
            return exports.write_csv(session, settings=settings(), now=now())
        case "vcf":
            return exports.write_vcards(session, settings=settings(), now=now(), language=lang)
    return exports.write_json(session, settings=settings(), now=now())


@bp.get("/<lang:lang>/directory.<any(csv,vcf,json):form>")
def whole(lang: str, form: str) -> ResponseReturnValue:
    """Every active department. The same edition of the directory has the same ETag."""
    with ExitStack() as stack:
        session = stack.enter_context(db().reading())
        # In the transaction that then reads the rest, so that tag and content belong together.
        tag = f"{_WRITTEN}-{version_of_directory(session)}-{lang}-{form}"
        if form == "json":
            # It says who is open now; beyond a day it would not even name the right next opening.
            tag += f"-{now():%Y%m%d}"
        response = Response(content_type=FORMATS[form].media_type)
        for_everybody(response)
        response.headers["Content-Disposition"] = f'attachment; filename="directory.{form}"'
        response.headers["Vary"] = "Accept-Encoding"
        response.set_etag(tag, weak=True)
        if request.if_none_match.contains_weak(tag):
            response.make_conditional(request)
            return response
        if request.method != "HEAD":
            pieces = _gathered(_write(session, lang, form))
            if takes_gzip():
                response.headers["Content-Encoding"] = "gzip"
                pieces = _compressed(pieces)
            held = stack.pop_all()
            response.response = _then_closed(pieces, held)
            # For whoever goes away before the first piece.
            response.call_on_close(held.close)
    return response


def _then_closed(pieces: Iterator[bytes], held: ExitStack) -> Iterator[bytes]:
    with held:
        yield from pieces


def _gathered(lines: Iterator[str]) -> Iterator[bytes]:
    waiting: list[str] = []
    length = 0
    for line in lines:
        waiting.append(line)
        length += len(line)
        if length >= _PIECE:
            yield "".join(waiting).encode()
            waiting, length = [], 0
    yield "".join(waiting).encode()


def _compressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    # Level 1: the writer waits for it, and the next level saves a tenth for half as much again.
    packer = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
