"""Doctor, pausing mail, DNS records, backups and the audit at the command line."""

from __future__ import annotations

import gc
import json
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from directory.adapters import migrations, names
from directory.adapters.db import events
from directory.adapters.mail import NullTransport
from directory.cli import cli
from directory.cli.base import Talk
from directory.cli.running import _require_database
from directory.domain.delivery import Delivery
from directory.domain.errors import SettingsInvalid, Unavailable
from directory.parts import Parts, assemble
from directory.services.doctor import CHECKS
from directory.settings import load_settings
from directory.worker import Worker
from tests.builders import a_submission, parts_for, submit
from tests.commands import KEY

Run = Callable[..., Result]


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    made = CliRunner().invoke(cli, ["init", str(tmp_path), "--sample"])
    assert made.exit_code == 0, made.output
    return str(tmp_path / "config" / "directory.toml")


@pytest.fixture
def run(configuration: str) -> Run:
    def run(*arguments: str) -> Result:
        done = CliRunner().invoke(cli, [*arguments, "--config", configuration])
        gc.collect()  # what a command left open, as its process's end closes it
        return done

    return run


@pytest.fixture
def parts(configuration: str) -> Iterator[Parts]:
    made = assemble(load_settings(configuration, environ={}))
    yield made
    made.let_go()


def ask(parts: Parts, form: str = "a-form") -> str:
    enquiry = submit(parts, a_submission("not-sure", form_token=form))
    return f"{enquiry.ref[:4]}-{enquiry.ref[4:]}"


# Doctor


def test_doctor_says_a_line_for_each_check_and_a_sum(run: Run) -> None:
    done = run("doctor")
    *lines, total = done.stdout.splitlines()

    assert done.exit_code == 0, done.output
    assert [line.split()[1] for line in lines] == list(CHECKS)
    assert {line.split()[0] for line in lines} == {"ok", "warn"}
    backup = next(line for line in lines if "database.backup" in line)
    assert backup.startswith("warn  database.backup") and "  → directory db backup" in backup
    warned = sum(line.startswith("warn") for line in lines)
    assert total == f"{len(lines) - warned} ok, {warned} warnings, 0 failed"


def test_doctor_looks_where_it_is_told_in_the_language_asked_for(run: Run) -> None:
    done = run("doctor", "--only", "queue", "--only", "ledger.balance", "--lang", "zh-Hans")

    assert done.stdout.splitlines() == [
        "ok    queue.age               没有等待发送的邮件",
        "ok    queue.leases            没有过期的占用",
        "ok    queue.paused            邮件正常发送",
        "ok    ledger.balance          0 received = 0 answered + 0 waiting + 0 retrying + 0 held "
        "+ 0 attention + 0 closed",
        "4 ok, 0 warnings, 0 failed",
    ]
    assert run("doctor", "--only", "nonsense").exit_code == 4


def test_doctor_as_json_has_levels_words_and_counts(run: Run) -> None:
    told = json.loads(run("doctor", "--only", "database.backup", "--json").stdout)

    assert (told["ok"], told["warnings"], told["failed"]) == (0, 1, 0)
    [check] = told["checks"]
    assert (check["id"], check["level"]) == ("database.backup", "warn")
    assert check["said"] and check["fix"]


def test_doctor_ends_with_1_when_something_fails_and_repairs_what_it_can(
    run: Run, configuration: str
) -> None:
    key = Path(configuration).parent.parent / "var" / "secret_key"
    key.chmod(0o644)
    assert run("doctor", "--only", "secrets").exit_code == 1

    assert run("doctor", "--only", "secrets", "--fix").exit_code == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_configuration_with_a_password_in_it_is_for_its_owner_alone(
    run: Run, configuration: str
) -> None:
    file = Path(configuration)
    file.chmod(0o644)
    assert run("doctor", "--only", "secrets.private").exit_code == 0  # there is nothing in it

    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('token = ""', 'token = "scraper"'), encoding="utf-8")
    told = run("doctor", "--only", "secrets.private")
    assert (told.exit_code, "directory.toml" in told.stdout) == (1, True)


class NoDns:
    def __getattr__(self, name: str) -> Any:
        raise Unavailable("DNS: LifetimeTimeout")


def test_doctor_ends_with_6_when_a_service_outside_does_not_answer(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "Dns", NoDns)
    monkeypatch.setenv("DIRECTORY_MAIL__URL", "smtp://127.0.0.1:1")
    monkeypatch.setenv("DIRECTORY_MAIL__FROM", "contact@institute.org")

    assert run("doctor", "--only", "mail.login").exit_code == 6
    assert run("doctor", "--only", "mail.spf").exit_code == 6


class OurDns:
    """A DNS in which the institute's mail is in order."""

    def texts(self, name: str) -> list[str] | None:
        return {
            "institute.org": ["v=spf1 a:mail.institute.org -all"],
            "_dmarc.institute.org": ["v=DMARC1; p=reject"],
            "_domainkey.institute.org": [],
            "mail._domainkey.institute.org": ["v=DKIM1; p=MIGf"],
        }.get(name)

    def addresses(self, name: str) -> list[str] | None:
        return ["192.0.2.9"]

    def exchangers(self, name: str) -> list[str] | None:
        return None


def test_mail_dns_prints_records_to_copy_and_judges_those_that_are_there(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "Dns", OurDns)
    monkeypatch.setenv("DIRECTORY_MAIL__URL", "smtp://user@mail.institute.org")
    monkeypatch.setenv("DIRECTORY_MAIL__FROM", "contact@institute.org")
    monkeypatch.setenv("DIRECTORY_MAIL__ALARMS", '["it@institute.org"]')
    done = run("mail", "dns")

    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        'institute.org.  3600  IN  TXT  "v=spf1 a:mail.institute.org -all"',
        "_dmarc.institute.org.  3600  IN  TXT  "
        '"v=DMARC1; p=quarantine; rua=mailto:it@institute.org"',
        "; SELECTOR._domainkey.institute.org. is your mail server's key: it names both",
        "",
        "ok    mail.spf                v=spf1 a:mail.institute.org -all",
        "ok    mail.dkim               mail._domainkey.institute.org",
        "ok    mail.dmarc              p=reject at institute.org",
        "3 ok, 0 warnings, 0 failed",
    ]


# Pausing


def test_mail_is_paused_and_resumed_with_what_waits(run: Run, parts: Parts) -> None:
    ask(parts)
    assert run("mail", "pause", "--reason", "the server moves").stdout == "paused\n"
    assert run("mail", "pause").stdout == "paused already\n"
    assert run("worker", "--once").stdout == "processed 0, deferred 0, failed 0\n"
    assert "the server moves" in run("doctor", "--only", "queue.paused").stdout

    assert run("mail", "resume").stdout == "resumed: 2 to send\n"
    assert run("worker", "--once").stdout == "processed 2, deferred 0, failed 0\n"
    assert run("mail", "resume").stdout == "was not paused: 0 to send\n"


# Attention


def test_what_needs_attention_is_listed_apart(run: Run, parts: Parts) -> None:
    from directory.domain.enquiry import Enquiry

    ask(parts)
    ref = ask(parts, "another")
    with parts.db.writing() as session:
        found = session.scalars(sa.select(Enquiry).filter_by(ref=ref.replace("-", ""))).one()
        found.needs_attention("undeliverable")

    [line] = run("enquiry", "list", "--attention").stdout.splitlines()
    assert ref in line and "needs attention: undeliverable" in line
    assert len(run("enquiry", "list").stdout.splitlines()) == 2


# Backups


def test_p18_a_restored_backup_does_not_mail_by_itself_and_says_what_it_would_send(
    run: Run, parts: Parts, tmp_path: Path
) -> None:
    ref = ask(parts)
    file = tmp_path / "night.db"
    taken = run("db", "backup", str(file))
    assert taken.exit_code == 0, taken.output
    assert "the secret key is not in it" in taken.stderr
    # Sent meanwhile; and one more came, which the backup does not know.
    assert Worker(parts, NullTransport()).run_once().processed == 2
    ask(parts, "another")
    parts.let_go()

    assert run("db", "restore", str(file)).exit_code == 5
    restored = run("db", "restore", str(file), "--yes")

    assert restored.exit_code == 0, restored.output
    assert "the database that was there is " in restored.stderr
    lines = restored.stdout.splitlines()
    assert lines[:2] == [f"restored {file}; mail is paused", "would send 2 messages:"]
    assert sorted(line.split()[1] for line in lines[2:4]) == ["acknowledgement", "routed"]
    assert all(ref in line for line in lines[2:4])
    assert Worker(parts, NullTransport()).run_once().processed == 0
    assert len(run("enquiry", "list").stdout.splitlines()) == 1

    assert run("mail", "resume").stdout == "resumed: 2 to send\n"


def test_a_backup_is_whole_readable_by_its_owner_alone_and_holds_no_key(
    run: Run, parts: Parts, configuration: str, tmp_path: Path
) -> None:
    file = tmp_path / "night.db"
    assert run("db", "backup", str(file)).exit_code == 0

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    checked = subprocess.run(
        ["sha256sum", "-c", "night.db.sha256"], cwd=tmp_path, capture_output=True, check=False
    )
    assert checked.stdout.strip() == b"night.db: OK"
    key = (Path(configuration).parent.parent / "var" / "secret_key").read_bytes().strip()
    assert key not in file.read_bytes()
    assert run("db", "backup", str(file)).exit_code == 5
    assert run("db", "backup", str(file), "--yes").exit_code == 0
    assert run("doctor", "--only", "database.backup").stdout.startswith("ok ")


@pytest.mark.parametrize("harm", ["altered", "cut short", "no database", "gone"])
def test_a_backup_that_is_not_sound_is_refused_and_nothing_is_touched(
    run: Run, parts: Parts, tmp_path: Path, harm: str
) -> None:
    ask(parts)
    file = tmp_path / "night.db"
    run("db", "backup", str(file))
    content = file.read_bytes()
    if harm == "altered":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif harm == "cut short":
        file.with_name("night.db.sha256").unlink()
        file.write_bytes(content[: len(content) // 2])
    elif harm == "no database":
        file.with_name("night.db.sha256").unlink()
        file.write_text("a letter")
    else:
        file.unlink()
    parts.let_go()
    refused = run("db", "restore", str(file), "--yes")

    assert refused.exit_code == (4 if harm == "gone" else 5), refused.output
    assert len(run("enquiry", "list").stdout.splitlines()) == 1
    assert run("doctor", "--only", "queue.paused").stdout.startswith("ok ")
    assert [it.name for it in parts.settings.var.glob("*restoring*")] == []


def test_no_backup_is_put_under_a_service_that_runs(run: Run, parts: Parts, tmp_path: Path) -> None:
    file = tmp_path / "night.db"
    run("db", "backup", str(file))
    # An open connection, as an idle web process has it.
    with parts.db.reading() as session:
        session.execute(sa.select(Delivery.id)).all()
        refused = run("db", "restore", str(file), "--yes")

    assert refused.exit_code == 5
    assert "stop the service first" in refused.stderr
    parts.let_go()
    assert run("db", "restore", str(file), "--yes").exit_code == 0


def test_a_backup_of_a_later_release_is_refused(run: Run, parts: Parts, tmp_path: Path) -> None:
    file = tmp_path / "night.db"
    run("db", "backup", str(file))
    file.with_name("night.db.sha256").unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    parts.let_go()

    refused = run("db", "restore", str(file), "--yes")
    assert refused.exit_code == 5 and "9999" in refused.stderr


# The rest


def test_audit_verify_names_what_was_tampered_with(run: Run, parts: Parts) -> None:
    ref = ask(parts).replace("-", "")
    whole = run("audit", "verify")
    assert whole.exit_code == 0
    assert whole.stdout.endswith(" events, 0 histories broken\n")
    with parts.db.writing() as session:
        subject = f"enquiry:{ref}"
        session.execute(sa.update(events).where(events.c.subject == subject).values(note="no"))

    broken = run("audit", "verify")
    assert broken.exit_code == 1
    assert broken.stdout.splitlines()[0] == f"enquiry:{ref}"


def test_f24_in_production_nothing_starts_on_a_postgresql_that_does_not_synchronise(
    postgres_url: str, tmp_path: Path
) -> None:
    # The tests' server, which is fast and forgetful.
    for env in ("production", "test"):
        talk = Talk()
        talk.parts = parts_for(tmp_path, postgres_url, env=env, secret_key=[KEY])
        talk.settings = talk.parts.settings
        if env == "production":
            with pytest.raises(SettingsInvalid, match="fsync=off"):
                _require_database(talk)
        else:
            _require_database(talk)
        talk.parts.let_go()


def test_f32_the_release_before_starts_on_a_database_that_is_ahead(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk()
    talk.parts, talk.settings = parts, parts.settings
    monkeypatch.setattr(migrations, "newest", lambda: "0001")
    _require_database(talk)

    monkeypatch.setattr(migrations, "newest", lambda: "9999")
    with pytest.raises(SettingsInvalid, match="db upgrade"):
        _require_database(talk)


def test_p8_the_queue_shows_what_is_late_and_that_mail_is_paused(
    run: Run, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(parts)
    fresh = run("mail", "queue")
    assert "LATE" not in fresh.stdout and "PAUSED" not in fresh.stderr

    run("mail", "pause")
    monkeypatch.setenv("DIRECTORY_DELIVERY__SHOW_AFTER_S", "0.001")
    late = run("mail", "queue")
    assert late.stdout.count("LATE") == 2
    assert "PAUSED" in late.stderr
