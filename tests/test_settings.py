"""What the operator decides: read from file, environment and flags, and refused when unsafe."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from directory.domain.errors import SettingsInvalid
from directory.settings import Settings, load_settings, mask_url
from tests.support import ROOT

KEY = "kQ3v-9TzWm2xRb7Lp0sYd4HfUc8NgJ6e"
TEMPLATE = ROOT / "config" / "directory.toml"


def load(config: Any = None, *, env: Any = "test", **environ: str) -> Settings:
    return load_settings({} if config is None else config, environ=environ, env=env)


def problems(config: Any = None, *, env: Any = "test", **environ: str) -> str:
    with pytest.raises(SettingsInvalid) as refused:
        load(config, env=env, **environ)
    return str(refused.value)


def write(root: Path, text: str) -> Path:
    path = root / "config" / "directory.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# The file that explains every setting


def leaves(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and f"{prefix}{key}" != "site.name":
            found |= leaves(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def test_the_file_lists_every_setting_with_its_default_and_no_other():
    listed = leaves(tomllib.loads(TEMPLATE.read_text(encoding="utf-8")))
    defaults = dict(Settings().leaves())
    # Those that are not for a file: who starts the service names the environment, and a key
    # stands in a file of its own.
    for name in ("env", "secret_key"):
        del defaults[name]

    plain = {
        name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()
    }
    assert listed == plain


def test_every_setting_of_the_file_has_a_line_of_explanation():
    lines = TEMPLATE.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"[a-z_0-9]+ = ", line):
            explained = "  # " in line or " # " in line or lines[number - 1].startswith("# ")
            assert explained, line


def test_the_file_itself_is_a_configuration():
    assert load_settings(TEMPLATE, environ={}, env="test").site.desk == "enquiry-desk"


# Where a value comes from


def test_a_flag_comes_before_the_environment_and_that_before_the_file(tmp_path):
    path = write(tmp_path, '[site]\ndesk = "file"\ntimezone = "Asia/Singapore"\n')
    environ = {"DIRECTORY_SITE__DESK": "env", "DIRECTORY_ENQUIRY__RATE_PER_HOUR": "7"}

    settings = load_settings(path, environ=environ, flags={"site": {"desk": "flag"}}, env="test")

    assert settings.site.desk == "flag"
    assert settings.site.timezone == "Asia/Singapore"
    assert settings.enquiry.rate_per_hour == 7
    assert settings.origin("site.desk") == "flag"
    assert settings.origin("site.timezone") == "file"
    assert settings.origin("enquiry.rate_per_hour") == "env"
    assert settings.origin("mail.url") == "default"


@pytest.mark.parametrize(
    ("name", "text", "look", "value"),
    [
        ("MAIL__URL", "smtp://127.0.0.1:25", lambda s: s.mail.url, "smtp://127.0.0.1:25"),
        ("MAIL__FROM", "a@b.example", lambda s: s.mail.from_, "a@b.example"),
        ("MAIL__SMTPUTF8", "true", lambda s: s.mail.smtputf8, True),
        ("SITE__HOSTS", '["a.example"]', lambda s: s.site.hosts, ("a.example",)),
        ("SITE__FOOTER__ICP", "ICP 1", lambda s: s.site.footer.icp, "ICP 1"),
        ("SITE__NAME", '{"en":"X"}', lambda s: s.site.name, {"en": "X"}),
        ("DELIVERY__BACKOFF_S", "[1, 2.5]", lambda s: s.delivery.backoff_s, (1, 2.5)),
        ("ENV", "development", lambda s: s.env, "development"),
        ("DATABASE__URL", "postgresql://x/y", lambda s: s.database_url, "postgresql://x/y"),
    ],
)
def test_the_environment_holds_json_or_plain_words(name, text, look, value):
    assert look(load(**{f"DIRECTORY_{name}": text})) == value


def test_other_variables_and_those_that_say_where_to_look_are_no_settings():
    environ = {"DIRECTORY_LOG": "text", "DIRECTORY_CHROMIUM": "/x", "PATH": "/bin"}

    assert load(**environ) == load()


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("smtp://user:hush@mail.example\n")

    settings = load(DIRECTORY_MAIL__URL_FILE=str(secret))

    assert settings.mail.url == "smtp://user:hush@mail.example"
    assert "cannot be read" in problems(DIRECTORY_MAIL__URL_FILE=str(tmp_path / "none"))


def test_the_key_may_come_from_environment_or_file_one_or_several(tmp_path):
    kept = tmp_path / "key"
    kept.write_text(KEY + "\n")

    def keys(**environ: str) -> list[str]:
        settings = load(env="production", **environ)
        return [key.get_secret_value() for key in settings.secret_key]

    assert keys(DIRECTORY_SECRET_KEY=KEY) == [KEY]
    assert keys(DIRECTORY_SECRET_KEY_FILE=str(kept)) == [KEY]
    assert keys(DIRECTORY_SECRET_KEY=f'["{KEY}", "old-{KEY}"]') == [KEY, f"old-{KEY}"]
    digits = "31415926535897932384626433832795028"
    assert keys(DIRECTORY_SECRET_KEY=digits) == [digits]


def test_the_configuration_may_name_the_file_of_the_key(tmp_path):
    path = write(tmp_path, 'secret_key_file = "var/secret_key"\n')
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "secret_key").write_text(f"{KEY}\nold-{KEY}\n")

    settings = load_settings(path, environ={}, env="production")

    assert [key.get_secret_value() for key in settings.secret_key] == [KEY, f"old-{KEY}"]
    (tmp_path / "var" / "secret_key").unlink()
    with pytest.raises(SettingsInvalid, match="secret_key_file"):
        load_settings(path, environ={}, env="production")


def test_relative_paths_count_from_the_folder_above_config(tmp_path):
    settings = load_settings(write(tmp_path, ""), environ={}, env="test")

    assert settings.root == tmp_path
    assert settings.database_url == f"sqlite:///{tmp_path}/var/directory.db"
    assert settings.mail_folder == tmp_path / "var" / "mail"
    assert settings.var == tmp_path / "var"


def test_the_file_is_found_as_given_else_by_the_environment_else_here(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    write(here, '[site]\ndesk = "here"\n')
    path = write(there, '[site]\ndesk = "there"\n')
    monkeypatch.chdir(here)

    def desk(config: Any = None, **environ: str) -> str:
        return load_settings(config, environ=environ, env="test").site.desk

    assert desk() == "here"
    assert desk(DIRECTORY_CONFIG=str(path)) == "there"
    assert desk(path, DIRECTORY_CONFIG="nowhere.toml") == "there"
    with pytest.raises(SettingsInvalid, match="no such configuration file"):
        desk(DIRECTORY_CONFIG="nowhere.toml")


# Refusals


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"site": {"base_ulr": "x"}},
            "site.base_ulr: there is no such setting; did you mean “base_url”?",
        ),
        ({"sites": {"desk": "x"}}, "sites: there is no such setting; did you mean “site”?"),
        ({"mail": {"form": "x"}}, "did you mean “from”?"),
        ({"desk": "x"}, "desk: there is no such setting; did you mean “desk”?"),
        ({"site": {"footer": {"ipc": "x"}}}, "did you mean “icp”?"),
        ({"site": {"timezone": "Asia/Shangai"}}, "did you mean “Asia/Shanghai”?"),
        ({"site": {"base_url": "contact.example"}}, "site.base_url: must be like https://"),
        ({"site": {"default_country": "cn"}}, "site.default_country"),
        ({"site": {"languages": ["fr"]}}, "site.languages"),
        ({"site": {"trusted_proxies": ["10.0.0.999"]}}, "site.trusted_proxies"),
        ({"site": {"name": {"fr": "X"}}}, "site.name: give a name in en or zh-Hans"),
        ({"site": "x"}, "site"),
        ({"enquiry": {"rate_per_hour": -1}}, "enquiry.rate_per_hour"),
        ({"enquiry": {"rate_per_hour": "many"}}, "enquiry.rate_per_hour"),
        ({"enquiry": {"reference_prefix": "no spaces"}}, "enquiry.reference_prefix"),
        ({"delivery": {"lease_s": 0}}, "delivery.lease_s"),
        ({"delivery": {"backoff_s": []}}, "delivery.backoff_s"),
        ({"privacy": {"consent": "maybe"}}, "privacy.consent"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named_with_a_remedy(config, said):
    assert said in problems(config)


def test_every_problem_is_told_at_once():
    said = problems({"site": {"desc": "x"}, "mail": {"ulr": "x"}}).splitlines()

    assert len(said) == 2


def test_a_file_that_is_no_toml_is_named_with_the_place(tmp_path):
    path = write(tmp_path, "[site\n")

    said = problems(path)

    assert str(path) in said and "line 1" in said


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "production needs one"),
        ("change-me", "sample key"),
        ("Secret", "sample key"),
        ("test-key-that-protects-nothing-at-all", "sample key"),
        ("development-key-that-protects-nothing-at-all", "sample key"),
        ("short-but-random-x7", "too easy to guess"),
        ("a" * 64, "too easy to guess"),
        (f'["{KEY}", "change-me"]', "sample key"),
    ],
)
def test_production_refuses_a_missing_sample_or_weak_key(key, said):
    environ = {"DIRECTORY_SECRET_KEY": key} if key else {}

    assert said in problems(env="production", **environ)
    assert load(env="development", **environ).secret_key  # anywhere else it is no matter


def test_the_refusal_of_a_key_does_not_tell_the_key():
    assert "hunter2" not in problems(env="production", DIRECTORY_SECRET_KEY="hunter2")


@pytest.mark.parametrize(
    ("name", "value"), [("FLASK_DEBUG", "1"), ("DIRECTORY_NOW", "2026-11-24T09:00:00Z")]
)
def test_production_starts_neither_in_debug_nor_by_a_clock_that_was_set(monkeypatch, name, value):
    monkeypatch.setenv(name, value)

    assert name in problems(env="production", DIRECTORY_SECRET_KEY=KEY)


def test_production_is_what_it_is_unless_somebody_says_otherwise():
    with pytest.raises(SettingsInvalid, match="production needs one"):
        load_settings({}, environ={})
    assert load_settings({}, environ={"DIRECTORY_ENV": "test"}).env == "test"


# Secrets


def test_no_secret_is_shown():
    settings = load(
        {
            "mail": {"url": "smtp://user:hush@mail.example:587"},
            "database": {"url": "postgresql://user:hush@db.example/x"},
            "metrics": {"token": "hush"},
        },
        DIRECTORY_SECRET_KEY=KEY,
    )

    shown = dict(settings.leaves())
    assert "hush" not in repr(shown) and KEY not in repr(shown)
    assert shown["mail.url"] == "smtp://user:•••@mail.example:587"
    assert shown["metrics.token"] == "•••" and shown["secret_key"] == ["•••"]
    assert KEY not in repr(settings) and "hush" not in repr(settings.metrics)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("smtp://u:p@h:25", "smtp://u:•••@h:25"),
        ("smtp://u@h", "smtp://u@h"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("postgresql://u:p%40ss@h/d", "postgresql://u:•••@h/d"),
        ("", ""),
    ],
)
def test_a_password_in_a_url_is_masked(url, shown):
    assert mask_url(url) == shown


def test_settings_cannot_be_changed_after_the_start():
    settings = load()

    with pytest.raises(ValueError, match="frozen"):
        settings.site = None
    assert settings.site.desk == "enquiry-desk"


def test_bounces_come_back_to_the_senders_domain_unless_another_is_set():
    assert load({"mail": {"from": "a@x.example"}}).bounce_domain == "x.example"
    assert load({"mail": {"bounce_domain": "b.example"}}).bounce_domain == "b.example"


@pytest.mark.parametrize(
    ("url", "folder"),
    [("", "var/mail"), ("file:out", "out"), ("smtp://x", None), ("null:", None)],
)
def test_mail_is_kept_in_a_folder_only_where_none_leaves(tmp_path, url, folder):
    path = write(tmp_path, f'[mail]\nurl = "{url}"\n')

    settings = load_settings(path, environ={}, env="test")

    assert settings.mail_folder == (tmp_path / folder if folder else None)


# What comes back


def test_answers_are_copied_where_they_can_come_back_to():
    assert not load().copies_answers
    for way in ("lmtp", "imap", "log_mailbox"):
        value = "log@institute.example"
        assert load({"inbound": {way: value}}).copies_answers
        assert not load({"inbound": {way: value}, "mail": {"reply_mode": "direct"}}).copies_answers
    assert load({"mail": {"from": "a@b.example"}}).log_mailbox == "log@b.example"
    assert load({"mail": {"bounce_domain": "c.example"}}).log_mailbox == "log@c.example"


@pytest.mark.parametrize("value", ["log", "log at x", f"{'l' * 34}@institute.example"])
def test_an_address_that_nothing_can_come_back_to_is_refused(value):
    assert "inbound.log_mailbox" in problems({"inbound": {"log_mailbox": value}})


def test_the_password_of_a_mailbox_is_not_shown():
    shown = dict(load({"inbound": {"imap": "imaps://a:hush@h.example"}}).leaves())

    assert shown["inbound.imap"] == "imaps://a:•••@h.example"
