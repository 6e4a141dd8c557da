"""Stylesheet, script and icon: read and compressed once, addressed by their content."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from flask import Flask, Response, abort, request, url_for
from flask.typing import ResponseReturnValue

from directory.web.context import takes_gzip

_TYPES = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "favicon.svg": "image/svg+xml",
    "favicon.ico": "image/x-icon",
    "THIRD-PARTY.txt": "text/plain; charset=utf-8",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_A_DAY = "public, max-age=86400"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent: plain and, where that is smaller, compressed."""

    plain: bytes
    zipped: bytes
    digest: str
    type: str


def install(app: Flask) -> None:
    """Serve the files at /static/, and load them before the processes part."""
    for name in _TYPES:
        asset(name)
    app.add_url_rule("/static/<path:filename>", endpoint="static", view_func=static)
    app.jinja_env.globals["asset"] = asset_url


@cache
def asset(name: str) -> Asset:
    """The file *name*. Raises KeyError for one we do not serve."""
    type = _TYPES[name]
    plain = (files("directory.web") / "static" / name).read_bytes()
    return Asset(
        plain=plain,
        zipped=gzip.compress(plain, 9, mtime=0),
        digest=hashlib.sha256(plain).hexdigest()[:12],
        type=type,
    )


def asset_url(name: str) -> str:
    """The address of a static file, changing with its content so that it can be kept for ever."""
    return url_for("static", filename=name, v=asset(name).digest)


def static(filename: str) -> ResponseReturnValue:
    """A static file."""
    if filename not in _TYPES:
        abort(404)
    return send_asset(filename)


def send_asset(name: str) -> Response:
    """The file *name*: for ever where the address says which, a day where it does not."""
    file = asset(name)
    zipped = takes_gzip() and len(file.zipped) < len(file.plain)
    response = Response(file.zipped if zipped else file.plain, content_type=file.type)
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    asked = request.args.get("v") == file.digest
    response.headers["Cache-Control"] = _FOR_EVER if asked else _A_DAY
    response.set_etag(file.digest, weak=True)
    response.make_conditional(request)
    return response
