"""create_app: puts the parts together."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider
from werkzeug.middleware.proxy_fix import ProxyFix

from directory import logs
from directory.parts import Parts, assemble
from directory.settings import Settings, load_settings
from directory.web import (
    actions,
    api,
    assets,
    cards,
    dev,
    downloads,
    enquiry,
    errors,
    machines,
    operating,
    problems,
    public,
    search,
    shell,
    visitor,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def create_app(config: Mapping[str, Any] | str | Path | Settings | None = None) -> Flask:
    """The WSGI application.

    *config* is a configuration file's path, its values, settings read already, or None to find
    the file as the command line does. Raises SettingsInvalid.
    """
    settings = config if isinstance(config, Settings) else load_settings(config)
    # Before anything is logged: as it comes, structlog writes local variables into its traces.
    logs.configure()
    return app_of(assemble(settings))


def app_of(parts: Parts) -> Flask:
    """The application around *parts*."""
    app = Flask(
        "directory",
        template_folder=str(templates_folder()),
        static_folder=None,
    )
    app.config.update(
        SECRET_KEY=parts.settings.secret_key[0].get_secret_value(),
        MAX_CONTENT_LENGTH=shell.LARGEST_BODY,
        MAX_FORM_MEMORY_SIZE=shell.LARGEST_BODY,
        MAX_FORM_PARTS=shell.MOST_FIELDS,
        TRUSTED_HOSTS=None,
    )
    app.extensions["directory"] = parts
    # JSON as documented: keys in their order, text as it is written.
    assert isinstance(app.json, DefaultJSONProvider)
    app.json.sort_keys = False
    app.json.ensure_ascii = False
    shell.install(app)
    operating.install(app)
    assets.install(app)
    errors.install(app)
    for blueprint in (
        public.bp,
        search.bp,
        cards.bp,
        downloads.bp,
        machines.bp,
        operating.bp,
        problems.bp,
        enquiry.bp,
        visitor.bp,
        actions.bp,
        api.bp,
        dev.bp,
    ):
        app.register_blueprint(blueprint)
    if proxies := parts.settings.site.trusted_proxies:
        app.wsgi_app = BehindProxy(app.wsgi_app, proxies)  # type: ignore[assignment, method-assign]
    return app


def templates_folder() -> Path:
    """Beside the package in a checkout, inside it when installed."""
    inside = Path(__file__).parent / "templates"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "templates"


class BehindProxy:
    """Believes X-Forwarded-* from the proxies named in the settings, and from nobody else."""

    def __init__(self, app: WSGIApplication, proxies: Iterable[str]) -> None:
        self._app = app
        self._fixed = ProxyFix(app, x_for=1, x_proto=1, x_host=1, x_prefix=1)
        self._networks = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        try:
            peer = ipaddress.ip_address(environ.get("REMOTE_ADDR", ""))
        except ValueError:
            return self._app(environ, start)
        if any(peer in network for network in self._networks):
            return self._fixed(environ, start)
        return self._app(environ, start)
