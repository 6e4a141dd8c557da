"""The public pages as files, for a mirror or for the hour when the service itself is down.

Every page is asked of the application itself, so that a copy says what the service says. Links
between copied pages are relative and work from a disk; what only the service can do (writing,
searching) is linked at the service's own address.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urldefrag, urlsplit

import sqlalchemy as sa
from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, RequestRedirect

from directory.adapters.db import departments
from directory.domain.contacts import DepartmentStatus
from directory.parts import Parts
from directory.web.context import SEGMENTS
from directory.web.errors import plain_page

# Blueprints whose pages anybody may read, without those that answer what somebody typed.
_COPIED: Final = frozenset({"public", "cards"})
_LIVE: Final = re.compile(r"search|report|theme|root|chinese|opensearch|suggest")
_LINK: Final = re.compile(r'(\s(?:href|src|action)=")([^"]*)(")')
# Choosing a theme is remembered by the service; a copy follows the reader's system.
_THEME_FORM: Final = re.compile(r'<form class="theme".*?</form>', re.DOTALL)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.=_-]+")

UNAVAILABLE: Final = "unavailable.html"

Progress = Callable[[int, int], None]


def write_site(app: Flask, folder: Path, *, progress: Progress | None = None) -> int:
    """Write every public page in every language below *folder*; how many files it came to.

    Beside them ``unavailable.html``, the page a web server shows while the service does not
    answer (500 and 503), which needs nothing but the stylesheet.
    """
    copy = _Copy(app)
    done = 0
    for name, content in copy.files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        done += 1
        if progress:
            progress(done, done + len(copy.waiting))
    return done


class _Copy:
    def __init__(self, app: Flask) -> None:
        self._app = app
        parts: Parts = app.extensions["directory"]
        self._parts = parts
        self._base = parts.settings.site.base_url
        self._prefix = urlsplit(self._base).path
        self._urls: MapAdapter = app.url_map.bind("localhost")
        self._client = app.test_client()
        self._copied: dict[str, str | None] = {}  # address to file; None is left to the service
        self.waiting: deque[str] = deque()

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file of the copy: its name below the folder, and its content."""
        for tag in self._parts.settings.site.languages:
            for page in ("", "topics", "directory.csv", "directory.vcf", "directory.json"):
                self._file_of(f"/{SEGMENTS[tag]}/{page}")
        for address in self._department_addresses():
            self._file_of(address)
        first: bytes | None = None
        while self.waiting:
            address = self.waiting.popleft()
            name = self._copied[address]
            assert name is not None
            response = self._client.get(address, base_url=self._base)
            content, kind = response.get_data(), response.mimetype
            response.close()
            if response.status_code != 200:
                continue
            if kind == "text/html":
                if first is None:
                    first = content
                content = self._relative(content.decode(), name).encode()
            yield name, content
        if first is not None:
            # Whoever opens the folder begins at the site's first language.
            yield "index.html", self._relative(first.decode(), "index.html").encode()
        with self._app.test_request_context(base_url=self._base):
            page = plain_page()
        yield UNAVAILABLE, self._relative(page, UNAVAILABLE).encode()

    def _department_addresses(self) -> Iterator[str]:
        """A long directory is listed in parts, and its pages are many links apart."""
        with self._parts.db.reading() as session:
            slugs: Iterable[str] = session.scalars(
                sa.select(departments.c.slug)
                .where(departments.c.status == DepartmentStatus.ACTIVE)
                .order_by(departments.c.position, departments.c.slug)
            ).all()
        for slug in slugs:
            for tag in self._parts.settings.site.languages:
                yield f"/{SEGMENTS[tag]}/departments/{slug}"

    def _file_of(self, address: str) -> str | None:
        """The file an address of this site is copied to; None if it is not. Queued when new."""
        split = urlsplit(address)
        key = split.path if self._is_static(split.path) else address
        if key not in self._copied:
            self._copied[key] = name = self._name(split.path, split.query)
            if name is not None:
                self.waiting.append(key)
        return self._copied[key]

    def _is_static(self, path: str) -> bool:
        return path.startswith(f"{self._app.static_url_path or '/static'}/")

    def _name(self, path: str, query: str) -> str | None:
        if self._is_static(path):
            return path.lstrip("/")
        try:
            endpoint, _ = self._urls.match(path, method="GET")
        except (HTTPException, RequestRedirect):
            return None
        blueprint, _, view = str(endpoint).partition(".")
        if blueprint not in _COPIED or _LIVE.search(view):
            return None
        name = f"{path}index" if path.endswith("/") else path
        stem, suffix = posixpath.splitext(name)
        if query:
            stem += f"~{_UNSAFE.sub('-', query)}"
        return f"{stem}{suffix or '.html'}".lstrip("/")

    def _relative(self, page: str, name: str) -> str:
        """*page*, to stand in the file *name*, with its links made to work from there."""

        def link(found: re.Match[str]) -> str:
            return found[1] + html.escape(self._target(html.unescape(found[2]), name)) + found[3]

        return _LINK.sub(link, _THEME_FORM.sub("", page))

    def _target(self, address: str, name: str) -> str:
        if not address.startswith("/") or address.startswith("//"):
            return address  # elsewhere, on the page itself, or already whole
        plain, fragment = urldefrag(address)
        own = plain.removeprefix(self._prefix) if self._prefix else plain
        target = self._file_of(own)
        if target is None:
            root = self._base.removesuffix(self._prefix) if self._prefix else self._base
            return root + address
        path = posixpath.relpath(target, posixpath.dirname(name) or ".")
        return f"{path}#{fragment}" if fragment else path
