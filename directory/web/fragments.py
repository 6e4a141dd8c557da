"""Public pages kept whole between requests, and sent small.

A page that anybody may read is the same for everybody: it depends on the directory's version, the
rules' version, its address, the language, the colours chosen, and on the time only where it says
"open now" or "today". So it is made once and kept, compressed, until one of these changes.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import wraps
from typing import ParamSpec

from flask import Response, g, make_response, request
from flask.typing import ResponseReturnValue

from directory.adapters.queries import published_key
from directory.web.context import db, now, parts, takes_gzip, theme

P = ParamSpec("P")

# Bytes of compressed pages one process keeps: some 3,000 pages.
SHELF_BYTES = 24 * 1024 * 1024
# Level 6 takes a third less time than 9 for one part in a hundred more bytes.
_LEVEL = 6
# Shorter than this and the frame of gzip costs more than it saves.
_WORTH_COMPRESSING = 500
# The queries that make another page of an address.
OWN_QUERIES = {
    "public.departments": frozenset({"parent", "page"}),
    "cards.vcard": frozenset({"version"}),
    "cards.qr": frozenset({"kind"}),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A page as it is sent, compressed, with the instants between which it says the truth."""

    body: bytes
    etag: str
    headers: tuple[tuple[str, str], ...]
    since: datetime
    until: datetime


class Shelf:
    """What was made of one edition of the directory; the least lately used goes first."""

    def __init__(self, limit: int = SHELF_BYTES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()
        self._edition: Hashable = None
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0

    def get(self, edition: Hashable, key: Hashable, at: datetime) -> Kept | None:
        """What was kept of *edition* under *key*, if it is still true at *at*."""
        with self._lock:
            found = self._kept.get(key) if edition == self._edition else None
            if found is None or not found.since <= at < found.until:
                return None
            self._kept.move_to_end(key)
            return found

    def put(self, edition: Hashable, key: Hashable, page: Kept) -> None:
        """Keep *page*; another edition than the last clears the shelf."""
        with self._lock:
            if edition != self._edition:
                self._kept.clear()
                self._edition, self.bytes = edition, 0
            if replaced := self._kept.pop(key, None):
                self.bytes -= len(replaced.body)
            self._kept[key] = page
            self.bytes += len(page.body)
            while self.bytes > self._limit:
                _, oldest = self._kept.popitem(last=False)
                self.bytes -= len(oldest.body)


def kept(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Keep what *view* answers, and answer from what was kept.

    For views whose answer nothing personal enters. What depends on the time says so by
    :func:`~directory.web.context.lasts_until`; every page ends with the day in UTC. An answer that
    is not a plain 200 is never kept, nor is one to a query that is none of the view's: who adds
    "?x=1", "?x=2" … would fill the shelf.
    """

    @wraps(view)
    def answer(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if request.args.keys() - OWN_QUERIES.get(str(request.endpoint), frozenset()):
            return small(make_response(view(*args, **kwargs)))
        with db().reading() as session:
            # Before the view reads: what it makes is never older than the edition it is kept as.
            edition = published_key(session, now())
        asked = tuple(sorted(request.args.items(multi=True)))
        key = (request.endpoint, request.path, asked, request.script_root, theme())
        shelf = shelf_of_process()
        found = shelf.get(edition, key, now())
        if found is None:
            response = make_response(view(*args, **kwargs))
            if response.status_code != 200 or response.is_streamed:
                return response
            found = _as_kept(response)
            shelf.put(edition, key, found)
        return sent(found)

    return answer


def shelf_of_process() -> Shelf:
    """The one shelf of this process."""
    shelf: Shelf = parts().kept.setdefault("shelf", Shelf())
    return shelf


def _as_kept(response: Response) -> Kept:
    body = response.get_data()
    midnight = datetime.combine(now().astimezone(UTC).date() + timedelta(1), time(), UTC)
    beside = {"Content-Length", "ETag", "Vary"}
    return Kept(
        # No time and no name inside, so that equal pages are equal bytes.
        body=gzip.compress(body, _LEVEL, mtime=0),
        etag=hashlib.sha256(body).hexdigest()[:20],
        headers=tuple((name, value) for name, value in response.headers if name not in beside),
        since=now(),
        until=min(g.get("lasts_until", midnight), midnight),
    )


def sent(page: Kept) -> Response:
    """*page* as this browser takes it, or 304 where it has it."""
    zipped = takes_gzip()
    response = Response(page.body if zipped else gzip.decompress(page.body))
    response.headers.clear()
    response.headers.extend(page.headers)
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    # The cookie chooses the colours, which only pages have.
    is_page = response.mimetype == "text/html"
    response.headers["Vary"] = "Accept-Encoding, Cookie" if is_page else "Accept-Encoding"
    # Weak: the same page, whether it travels compressed or not.
    response.set_etag(page.etag, weak=True)
    response.make_conditional(request)
    return response


def small(response: Response) -> Response:
    """*response* compressed where the browser takes it.

    Not for answers with a token or with what somebody wrote: beside a text an attacker chooses,
    the length of a compressed secret tells the secret (BREACH).
    """
    response.vary.add("Accept-Encoding")
    body = response.get_data()
    if takes_gzip() and len(body) >= _WORTH_COMPRESSING:
        response.set_data(gzip.compress(body, _LEVEL, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response
