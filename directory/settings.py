"""One frozen object, read and checked once at start.

Order: flag > environment > file > default. ``config/directory.toml`` in a checkout lists every
setting with its default and a line of explanation; a test holds the two together. The directory
itself, topics and rules live in the database, so that file and screen never fight.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
)

from directory.domain.calendars import Override, WorkingCalendar
from directory.domain.errors import InvalidValue, SettingsInvalid
from directory.domain.mailboxes import EmailAddress

PREFIX = "DIRECTORY_"

# Keys published in examples and tutorials: a production that signs links with one of them signs
# for everybody.
SAMPLE_KEYS = frozenset({"change-me", "changeme", "secret", "dev", "development", "password"})
SHORTEST_SECRET_KEY = 32  # characters: 128 bits even when written in hexadecimal

# What security.txt says holds for half a year from any day it is read; RFC 9116 wants less than
# one.
SECURITY_TXT_DAYS = 180

Environment = Literal["production", "test", "development"]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _zone(name: str) -> str:
    if name not in available_timezones():
        near = difflib.get_close_matches(name, available_timezones(), 1, 0.6)
        hint = f"; did you mean “{near[0]}”?" if near else ""
        raise ValueError(f"“{name}” is no IANA time zone{hint}")
    return name


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise ValueError("must be like https://contact.institute.example")
    return url.rstrip("/")


def _networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        ipaddress.ip_network(value, strict=False)
    return values


def _addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            EmailAddress.parse(value)
        except InvalidValue as error:
            raise ValueError(f"“{value}”: {error}") from None
    return values


def _log_mailbox(value: str) -> str:
    # Behind a "+" come 31 characters more, and 64 are what a name may have (RFC 5321).
    if value and len(EmailAddress.parse(_addresses((value,))[0]).local) > 33:
        raise ValueError(f"“{value}”: at most 33 characters may stand before the @")
    return value


class FooterSettings(Section):
    icp: str = ""
    police: str = ""


class SiteSettings(Section):
    base_url: Annotated[str, AfterValidator(_base_url)] = "http://127.0.0.1:8000"
    languages: tuple[Literal["en", "zh-Hans"], ...] = ("en", "zh-Hans")
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    name: dict[str, str] = {"en": "Contact Directory", "zh-Hans": "联系服务"}
    desk: str = "enquiry-desk"
    default_country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "CN"
    trusted_proxies: Annotated[tuple[str, ...], AfterValidator(_networks)] = ()
    hosts: tuple[str, ...] = ()
    footer: FooterSettings = FooterSettings()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def host(self) -> str:
        """The name in the base URL, without its port: what Message-ID and List-Id end in."""
        return urlsplit(self.base_url).hostname or ""


class DatabaseSettings(Section):
    url: str = "sqlite:///var/directory.db"


class MailSettings(Section):
    url: str = ""
    from_: Annotated[str, Field(alias="from")] = "contact@localhost.localdomain"
    from_style: Literal["visitor-via", "service"] = "visitor-via"
    reply_mode: Literal["direct", "copy", "relay"] = "copy"
    bounce_domain: str = ""
    smtputf8: bool = False
    alarms: Annotated[tuple[str, ...], AfterValidator(_addresses)] = ()

    @property
    def smtp(self) -> bool:
        """Whether mail really leaves by SMTP, so that no mailbox is kept here to look into."""
        return urlsplit(self.url).scheme in {"smtp", "smtps"}


class EnquirySettings(Section):
    attachments: bool = False
    rate_per_hour: Annotated[int, Field(ge=0)] = 5
    refuse_per_hour: Annotated[int, Field(ge=0)] = 120
    reference_prefix: Annotated[str, Field(pattern=r"^[A-Z]{1,8}$")] = "ENQ"
    close_after_days: Annotated[int, Field(ge=1)] = 30
    ack: bool = True


class DaySettings(Section):
    """What the operator knows better about one day than the public calendar."""

    day: date
    working: bool
    name: dict[str, str] = {}


class SlaSettings(Section):
    target_working_days: Annotated[int, Field(ge=1, le=60)] = 2
    calendars: tuple[str, ...] = ("CN",)
    days: tuple[DaySettings, ...] = ()

    @cached_property
    def calendar(self) -> WorkingCalendar:
        """The working days that targets and hours are counted in.

        Raises InvalidValue "calendar.unknown".
        """
        own = tuple(Override(day.day, day.working, day.name) for day in self.days)
        return WorkingCalendar(self.calendars, own)


class Transfer(Section):
    from_: Annotated[str, Field(alias="from")]
    to: str


class PrivacySettings(Section):
    retention_days: Annotated[int, Field(ge=1)] = 365
    consent: Literal["notice", "checkbox"] = "notice"
    transfer_consent: tuple[Transfer, ...] = ()
    dpo: str = ""


class VerifySettings(Section):
    every_days: Annotated[int, Field(ge=1)] = 180
    warn_after_days: Annotated[int, Field(ge=1)] = 365


class EmbedSettings(Section):
    allowed_origins: tuple[str, ...] = ()


class DeliverySettings(Section):
    connect_s: Annotated[float, Field(gt=0)] = 30
    command_s: Annotated[float, Field(gt=0)] = 60
    data_s: Annotated[float, Field(gt=0)] = 600
    attempt_s: Annotated[float, Field(gt=0)] = 900
    lease_s: Annotated[float, Field(gt=0)] = 60
    renew_s: Annotated[float, Field(gt=0)] = 10
    sweep_s: Annotated[float, Field(gt=0)] = 60
    backoff_s: Annotated[tuple[float, ...], Field(min_length=1)] = (
        10,
        30,
        60,
        120,
        300,
        600,
        1200,
        2400,
        3600,
    )
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.2
    give_up_days: Annotated[float, Field(gt=0)] = 5
    show_after_s: Annotated[float, Field(gt=0)] = 900
    alarm_after_s: Annotated[float, Field(gt=0)] = 14400


class CanarySettings(Section):
    """A test enquiry sent now and then, which must be accepted in time."""

    every_minutes: Annotated[float, Field(ge=0)] = 0
    within_s: Annotated[float, Field(gt=0)] = 300
    department: str = ""


class InboundSettings(Section):
    lmtp: str = ""
    imap: str = ""
    log_mailbox: Annotated[str, AfterValidator(_log_mailbox)] = ""

    @property
    def configured(self) -> bool:
        """Whether what comes back reaches us in any way."""
        return bool(self.lmtp or self.imap or self.log_mailbox)


class AuthSettings(Section):
    second_factor: Literal["required", "optional"] = "required"
    remote_user_header: str = ""


class MetricsSettings(Section):
    token: SecretStr = SecretStr("")


class FeatureSettings(Section):
    suggestions: bool = True
    hsds: bool = False
    open311: bool = False


class Settings(Section):
    """Everything the operator decides. Relative paths count from ``root``."""

    site: SiteSettings = SiteSettings()
    database: DatabaseSettings = DatabaseSettings()
    mail: MailSettings = MailSettings()
    enquiry: EnquirySettings = EnquirySettings()
    sla: SlaSettings = SlaSettings()
    privacy: PrivacySettings = PrivacySettings()
    verify: VerifySettings = VerifySettings()
    embed: EmbedSettings = EmbedSettings()
    delivery: DeliverySettings = DeliverySettings()
    canary: CanarySettings = CanarySettings()
    inbound: InboundSettings = InboundSettings()
    auth: AuthSettings = AuthSettings()
    metrics: MetricsSettings = MetricsSettings()
    features: FeatureSettings = FeatureSettings()
    secret_key: tuple[SecretStr, ...] = ()
    secret_key_file: str = ""
    env: Environment = "production"

    _root: Path = PrivateAttr(default_factory=Path.cwd)
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _path: Path | None = PrivateAttr(default=None)

    @property
    def root(self) -> Path:
        """The folder relative paths count from: the one above ``config/``."""
        return self._root

    @property
    def path(self) -> Path | None:
        """The configuration file that was read."""
        return self._path

    @property
    def var(self) -> Path:
        """Where the service keeps what is its own: database, mail of a demo, doorbell."""
        return self._root / "var"

    @property
    def database_url(self) -> str:
        """The database's URL with a relative SQLite path made absolute."""
        prefix = "sqlite:///"
        if self.database.url.startswith(prefix):
            return prefix + str(self._root / self.database.url.removeprefix(prefix))
        return self.database.url

    @property
    def mail_url(self) -> str:
        """The mail URL; while none is set, mail is kept as files where /dev/mailbox shows it."""
        url = self.mail.url or "file:var/mail"
        if url.startswith("file:"):
            return "file:" + str(self._root / unquote(url.removeprefix("file:")))
        return url

    @property
    def mail_folder(self) -> Path | None:
        """The folder of kept mail, None when mail leaves by SMTP (or is thrown away)."""
        if self.mail_url.startswith("file:"):
            return Path(self.mail_url.removeprefix("file:"))
        return None

    @property
    def bounce_domain(self) -> str:
        """The domain of envelope senders: as set, else that of the From address."""
        return self.mail.bounce_domain or self.mail.from_.rpartition("@")[2]

    @property
    def log_mailbox(self) -> str:
        """Where copies of answers arrive: as set, else ``log@`` the domain of envelope senders."""
        return self.inbound.log_mailbox or f"log@{self.bounce_domain}"

    @property
    def copies_answers(self) -> bool:
        """Whether answers are to be copied to us. Without [inbound] none would come."""
        return self.mail.reply_mode == "copy" and self.inbound.configured

    def origin(self, key: str) -> str:
        """Where the value of *key* ("mail.url") comes from: "default", "file", "env", "flag"."""
        return self._origins.get(key, "default")

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Every leaf as ("mail.from", value), secrets masked."""
        yield "env", self.env
        yield "secret_key", ["•••"] * len(self.secret_key)
        yield "secret_key_file", self.secret_key_file
        for name in type(self).model_fields:
            section = getattr(self, name)
            if isinstance(section, Section):
                yield from _leaves(name, section)


def _leaves(name: str, section: Section) -> Iterator[tuple[str, Any]]:
    for key, info in type(section).model_fields.items():
        value = getattr(section, key)
        path = f"{name}.{info.alias or key}"
        if isinstance(value, Section):
            yield from _leaves(path, value)
        elif isinstance(value, SecretStr):
            yield path, "•••" if value.get_secret_value() else ""
        elif path in {"mail.url", "database.url", "inbound.imap"}:
            yield path, mask_url(value)
        else:
            yield path, value


def mask_url(url: str) -> str:
    """*url* with its password hidden, for output and logs."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:•••@", url)


@dataclass(slots=True)
class _Layers:
    """Values from the weakest source to the strongest, and where each came from."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def lay(self, values: Mapping[str, Any], origin: str, prefix: str = "") -> None:
        for key, value in values.items():
            path = f"{prefix}{key}"
            if isinstance(value, Mapping) and path not in {"site.name"}:
                self.lay(value, origin, f"{path}.")
                continue
            section = self.values
            *parents, leaf = path.split(".")
            for parent in parents:
                deeper = section.setdefault(parent, {})
                if not isinstance(deeper, dict):
                    raise SettingsInvalid(f"{path}: “{parent}” is a value, not a section")
                section = deeper
            section[leaf] = value
            self.origins[path] = origin


# Variables that are not settings but say where or how to look for them.
_BESIDE = {"CONFIG", "NOW", "LOG", "CHROMIUM"}


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        rest, text = name.removeprefix(PREFIX), environ[name]
        if rest in _BESIDE:
            continue
        if rest.endswith("_FILE"):
            rest = rest.removesuffix("_FILE")
            try:
                text = Path(text).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsInvalid(f"{name}: {text} cannot be read ({error.strerror})") from None
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        # A key of digits is still a key, and a name of digits a name.
        if isinstance(value, int | float) and rest == "SECRET_KEY":
            value = text
        section = found
        *parents, leaf = rest.lower().split("__")
        for parent in parents:
            section = section.setdefault(parent, {})
        section[leaf] = value
    return found


def find_config(given: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    """The configuration file: as given, ``DIRECTORY_CONFIG``, or ``./config/directory.toml``.

    Raises SettingsInvalid when one was named and is not there.
    """
    named = given or environ.get(f"{PREFIX}CONFIG")
    if named:
        path = Path(named)
        if not path.is_file():
            raise SettingsInvalid(f"{path}: there is no such configuration file")
        return path.absolute()
    path = Path("config/directory.toml")
    return path.absolute() if path.is_file() else None


def load_settings(
    config: str | Path | Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    env: Environment = "production",
) -> Settings:
    """Read and check the configuration.

    *config* is a file, the values themselves, or None to look for the file. *env* is the
    environment taken when nobody names one. Raises SettingsInvalid with a line for each problem.
    """
    environ = os.environ if environ is None else environ
    layers = _Layers()
    path: Path | None = None
    if isinstance(config, Mapping):
        layers.lay(config, "file")
    elif path := find_config(config, environ):
        try:
            with path.open("rb") as file:
                layers.lay(tomllib.load(file), "file")
        except tomllib.TOMLDecodeError as error:
            raise SettingsInvalid(f"{path}: {error}") from None
    layers.lay(_from_environment(environ), "env")
    layers.lay(flags or {}, "flag")
    values = layers.values
    values.setdefault("env", env)
    if isinstance(values.get("secret_key"), str):
        values["secret_key"] = [values["secret_key"]]
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsInvalid(*_problems(error)) from None
    root = path.parent.parent if path and path.parent.name == "config" else None
    settings._root = root or (path.parent if path else Path.cwd())
    settings._origins = layers.origins
    settings._path = path
    settings = _with_kept_key(settings)
    _refuse_unsafe(settings)
    return settings


def _with_kept_key(settings: Settings) -> Settings:
    """The keys in the file the configuration names; a made-up one outside production."""
    if settings.secret_key:
        return settings
    if settings.secret_key_file:
        kept = settings.root / settings.secret_key_file
        try:
            lines = kept.read_text(encoding="utf-8").split()
        except OSError as error:
            raise SettingsInvalid(
                f"secret_key_file: {kept} cannot be read ({error.strerror})"
            ) from None
        keys = tuple(SecretStr(line) for line in lines)
        origin = "file"
    elif settings.env != "production":
        keys = (SecretStr(f"{settings.env}-key-that-protects-nothing-at-all"),)
        origin = "default"
    else:
        return settings
    copy = settings.model_copy(update={"secret_key": keys})
    copy._root, copy._path = settings._root, settings._path
    copy._origins = settings._origins | {"secret_key": origin}
    return copy


def _refuse_unsafe(settings: Settings) -> None:
    problems = []
    try:
        settings.sla.calendar  # noqa: B018  made here, so that a country nobody knows is told now
    except InvalidValue as error:
        problems.append(f"sla.calendars: {error}")
    if "en" not in settings.site.name and "zh-Hans" not in settings.site.name:
        problems.append("site.name: give a name in en or zh-Hans")
    if settings.env == "production":
        problems += weak_keys(settings.secret_key)
        if os.environ.get("FLASK_DEBUG", "0") not in {"", "0", "false"}:
            problems.append("FLASK_DEBUG: production does not start with debug on")
        if f"{PREFIX}NOW" in os.environ:
            problems.append(f"{PREFIX}NOW: a clock that is set is for tests; production refuses it")
    if problems:
        raise SettingsInvalid(*problems)


def weak_keys(secret_keys: tuple[SecretStr, ...]) -> list[str]:
    """What is wrong with the keys that sign links and forms; empty where nothing is."""
    keys = [key.get_secret_value() for key in secret_keys]
    if not keys:
        return [
            "secret_key: production needs one; `directory init` writes var/secret_key, or set "
            f"{PREFIX}SECRET_KEY or {PREFIX}SECRET_KEY_FILE"
        ]
    problems = []
    for key in keys:
        if key.lower() in SAMPLE_KEYS or key.startswith(("test-key-", "development-key-")):
            problems.append("secret_key: this is a sample key; make one of your own")
        elif len(key) < SHORTEST_SECRET_KEY or len(set(key)) < 8:
            problems.append(
                f"secret_key: too easy to guess; use {SHORTEST_SECRET_KEY} random characters"
            )
    return problems


def _problems(error: ValidationError) -> Iterator[str]:
    for detail in error.errors():
        parts = [str(part) for part in detail["loc"]]
        key = ".".join(parts)
        if detail["type"] == "extra_forbidden":
            near = difflib.get_close_matches(parts[-1], _known(parts[:-1]), 1, 0.5)
            if not near:
                near = difflib.get_close_matches(key, _every_key(), 1, 0.5)
            hint = f"; did you mean “{near[0]}”?" if near else ""
            yield f"{key}: there is no such setting{hint}"
        else:
            yield f"{key}: {detail['msg'].removeprefix('Value error, ')}"


def _known(parents: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for parent in parents:
        info = model.model_fields.get(parent)
        if info is None or not isinstance(info.annotation, type):
            return []
        if not issubclass(info.annotation, BaseModel):
            return []
        model = info.annotation
    return [info.alias or name for name, info in model.model_fields.items()]


def _every_key() -> list[str]:
    keys = [key for key, _ in Settings().leaves()]
    return keys + [key.rpartition(".")[2] for key in keys]
