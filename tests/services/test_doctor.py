"""Each thing that can be wrong is found, said in both languages, and comes with what to do."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from directory.adapters import duties, migrations
from directory.adapters.db import deliveries, events
from directory.adapters.durability import undurable
from directory.adapters.mail import NullTransport
from directory.adapters.queries import department_by_slug
from directory.adapters.smtp import MailServer, Timeouts, Trial, try_out
from directory.domain.alarms import AlarmKind
from directory.domain.contacts import PointState
from directory.domain.delivery import Delivery
from directory.domain.errors import NotFound, Unavailable
from directory.domain.mail_records import Names
from directory.parts import Parts
from directory.services import alarms, doctor
from directory.services.doctor import Level, Patient, Verdict
from directory.worker import Worker
from tests.adapters.test_mail import client_tls, server_tls
from tests.builders import SetClock, parts_for, plant_office, submit
from tests.domain.test_mail_records import Zone
from tests.faults.smtp_server import FEATURES, Say, SmtpServer, no_server

SIGN_IN = (*FEATURES, "AUTH PLAIN")
KEY = "0123456789abcdefghijklmnopqrstuvwxyz"


def no_names() -> Names:
    raise AssertionError("the DNS was asked")


def patient(parts: Parts, names: Callable[[], Names] = no_names) -> Patient:
    return Patient(parts, parts.now(), names, lambda: None)


def look(parts: Parts, id: str, *, repair: bool = False) -> Verdict:
    [(found, verdict)] = doctor.examine(patient(parts), [id], repair=repair)
    assert found == id
    assert set(verdict.said) == {"en", "zh-Hans"}
    assert verdict.level is Level.OK or set(verdict.fix) == {"en", "zh-Hans"}
    return verdict


# Database


LOCAL = [id for id in doctor.CHECKS if not id.startswith("mail.")]


def test_a_sound_installation_has_nothing_that_fails(office: Parts) -> None:
    submit(office)
    Worker(office, NullTransport()).run_once()
    levels = {id: look(office, id).level for id in LOCAL}

    quick = {"secrets.key", "database.durable", "database.clock"}  # what a test does not have
    assert {id for id, level in levels.items() if level is Level.FAIL} <= quick
    assert {id for id, level in levels.items() if level is Level.WARN} == {
        "database.backup",
        "site.address",
    }


def test_f24_a_database_that_may_lose_commits_fails(office: Parts) -> None:
    if office.db.is_sqlite:
        assert look(office, "database.durable").level is Level.OK
        office.db.dispose()
        sa.event.listen(
            office.db.engine,
            "connect",
            lambda connection, _: connection.execute("PRAGMA synchronous = NORMAL"),
        )
    # The tests' PostgreSQL does not synchronise, for speed: just what is to be found.
    verdict = look(office, "database.durable")

    assert verdict.level is Level.FAIL
    assert ("synchronous=1" if office.db.is_sqlite else "fsync=off") in verdict.said["en"]


def test_postgresqls_full_page_writes_are_looked_at_too(office: Parts) -> None:
    if office.db.is_sqlite:
        assert undurable(office.db) == []
    else:
        assert {"fsync=off", "full_page_writes=off"} <= set(undurable(office.db))


def test_a_damaged_file_fails(sqlite_url: str, tmp_path: Path, clock: SetClock) -> None:
    parts = parts_for(tmp_path, sqlite_url, clock)
    with parts.db.writing() as session:
        plant_office(session)
    parts.let_go()
    path = Path(parts.db.url.database or "")
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[half : half + 8192] = b"\x5a" * 8192
    path.write_bytes(content)

    verdict = look(parts, "database.whole")
    assert verdict.level is Level.FAIL
    assert "restore" in verdict.fix["en"]


def test_a_missing_migration_fails_and_can_be_taken(
    office: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "newest", lambda: "9999")
        assert look(office, "database.migrations").level is Level.FAIL
        patched.setattr(migrations, "newest", lambda: "0001")
        assert look(office, "database.migrations").level is Level.WARN
    assert look(office, "database.migrations", repair=True).level is Level.OK


def test_f23_a_clock_that_is_wrong_fails(office: Parts, clock: SetClock) -> None:
    clock.at = datetime.now(UTC)
    assert look(office, "database.clock").level is Level.OK
    submit(office)
    clock.advance(seconds=-20)
    assert look(office, "database.clock").level is Level.WARN
    clock.advance(hours=-3)
    verdict = look(office, "database.clock")
    assert verdict.level is Level.FAIL
    assert "future" in verdict.said["en"]


def test_a_disk_that_fills_warns_and_then_fails(
    office: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = []
    for free in (5_000, 900, 100, None):
        monkeypatch.setattr(
            "directory.services.doctor.database.free_mb", lambda _db, free=free: free
        )
        levels.append(look(office, "database.disk").level)

    assert levels == [Level.OK, Level.WARN, Level.FAIL, Level.OK]


def test_a_backup_older_than_a_day_warns(office: Parts, clock: SetClock) -> None:
    assert look(office, "database.backup").level is Level.WARN
    with office.db.writing() as session:
        duties.hold(session, "backup")
        duties.done(session, "backup", now=clock.at, facts={})
    clock.advance(hours=25)
    assert look(office, "database.backup").level is Level.OK
    clock.advance(hours=2)
    assert "27 hours" in look(office, "database.backup").said["en"]


def test_p8_the_queues_age_warns_after_fifteen_minutes_and_fails_after_four_hours(
    office: Parts, clock: SetClock
) -> None:
    submit(office)
    levels = []
    for seconds in (900, 1, 14400 - 901, 1):
        clock.advance(seconds=seconds)
        levels.append(look(office, "queue.age").level)

    assert levels == [Level.OK, Level.WARN, Level.WARN, Level.FAIL]


def test_claims_of_a_worker_that_is_gone_warn(office: Parts, clock: SetClock) -> None:
    submit(office)
    with office.db.writing() as session:
        for it in session.scalars(sa.select(Delivery)):
            it.claimed("gone", clock.at + timedelta(seconds=60))
    assert look(office, "queue.leases").level is Level.OK
    clock.advance(seconds=61)
    assert look(office, "queue.leases").level is Level.WARN


def test_p18_paused_mail_is_told_by_whom_and_why(office: Parts) -> None:
    assert look(office, "queue.paused").level is Level.OK
    with office.db.writing() as session:
        now, reason = office.now(), "restored from night.db"
        duties.switch_on(session, duties.MAIL_PAUSED, now=now, by="li@x.example", reason=reason)
    verdict = look(office, "queue.paused")

    assert verdict.level is Level.WARN
    assert "PAUSED" in verdict.said["en"] and "night.db" in verdict.said["zh-Hans"]


def test_books_that_are_wrong_fail_and_can_be_set_right(office: Parts) -> None:
    submit(office)
    assert "1 received = " in look(office, "ledger.balance").said["en"]
    with office.db.writing() as session:
        session.execute(sa.update(deliveries).values(state="accepted"))
    assert look(office, "ledger.balance").level is Level.FAIL

    assert look(office, "ledger.balance", repair=True).level is Level.OK


def test_an_enquiry_that_stands_nowhere_is_named(office: Parts) -> None:
    enquiry = submit(office)
    with office.db.writing() as session:
        for it in session.scalars(sa.select(Delivery)):
            it.cancelled(office.now(), "by mistake")
    verdict = look(office, "ledger.balance", repair=True)

    assert verdict.level is Level.FAIL  # no book-keeping makes that right
    assert enquiry.ref in verdict.said["en"]


@pytest.mark.parametrize("change", ["altered", "dropped"])
def test_a_history_that_was_tampered_with_fails(office: Parts, change: str) -> None:
    submit(office)
    Worker(office, NullTransport()).run_once()
    assert look(office, "history.chains").level is Level.OK
    with office.db.writing() as session:
        first = session.scalar(
            sa.select(events.c.id).where(events.c.type == "received").order_by(events.c.id)
        )
        if change == "altered":
            session.execute(sa.update(events).where(events.c.id == first).values(by="somebody"))
        else:
            session.execute(sa.delete(events).where(events.c.id == first))

    verdict = look(office, "history.chains")
    assert verdict.level is Level.FAIL
    assert "enquiry:" in verdict.said["en"]


def test_standing_alarms_fail(office: Parts) -> None:
    with office.db.writing() as session:
        alarms.watch(session, settings=office.settings, now=office.now(), free_mb=1)
    assert AlarmKind.DISK.value in look(office, "alarms.standing").said["en"]


def test_a_canary_that_is_not_sent_fails(
    database_url: str, tmp_path: Path, clock: SetClock
) -> None:
    parts = parts_for(tmp_path, database_url, clock, canary={"every_minutes": 10})
    assert look(parts, "canary.sent").level is Level.FAIL
    with parts.db.writing() as session:
        duties.hold(session, "canary")
        duties.done(session, "canary", now=clock.at, facts={})
    assert look(parts, "canary.sent").level is Level.OK
    parts.let_go()


# Installation and directory


def test_keys_that_anybody_could_guess_fail(sqlite_url: str, tmp_path: Path) -> None:
    weak = parts_for(tmp_path, sqlite_url)
    good = parts_for(tmp_path, sqlite_url, secret_key=[KEY])

    assert look(weak, "secrets.key").level is Level.FAIL
    assert look(good, "secrets.key").level is Level.OK


def test_a_key_file_that_others_can_read_fails_and_can_be_closed(
    sqlite_url: str, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o644)
    parts = parts_for(tmp_path, sqlite_url, secret_key_file=str(key))
    assert look(parts, "secrets.private").level is Level.FAIL

    assert look(parts, "secrets.private", repair=True).level is Level.OK
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_desk_without_a_mailbox_fails(office: Parts) -> None:
    with office.db.writing() as session:
        for point in department_by_slug(session, "enquiry-desk").points:
            point.state = PointState.SUSPENDED
    assert look(office, "directory.desk").level is Level.FAIL


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (PointState.PROPOSED, "nobody has confirmed"),
        (PointState.SUSPECT, "refused mail"),
        (PointState.SUSPENDED, "refused mail"),
    ],
)
def test_mailboxes_that_are_not_proven_or_refuse_mail_warn(
    office: Parts, state: PointState, word: str
) -> None:
    with office.db.writing() as session:
        department_by_slug(session, "media").points[0].state = state
    verdict = look(office, "directory.mailboxes")

    assert verdict.level is Level.WARN
    assert word in verdict.said["en"] and "media" in verdict.said["en"]


def test_rules_with_an_error_fail(office: Parts) -> None:
    assert look(office, "directory.rules").level is Level.OK
    with office.db.writing() as session:
        for point in department_by_slug(session, "enquiry-desk").points:
            point.state = PointState.SUSPENDED
    assert look(office, "directory.rules").level is Level.FAIL


def test_names_in_one_language_only_warn(office: Parts) -> None:
    with office.db.writing() as session:
        department_by_slug(session, "media").name = {"en": "Media"}
    assert "media" in look(office, "directory.translations").said["zh-Hans"]


def test_security_txt_without_a_mailbox_warns(office: Parts) -> None:
    assert look(office, "site.security_txt").level is Level.OK
    with office.db.writing() as session:
        for point in department_by_slug(session, "enquiry-desk").points:
            point.public = False
    assert look(office, "site.security_txt").level is Level.WARN


# Mail


@dataclass
class Post:
    """A mail server, a DNS, and an installation that uses both."""

    parts: Parts
    server: SmtpServer | None
    zone: Zone
    fields: dict[str, Any] = field(default_factory=dict)

    def look(self, id: str) -> Verdict:
        def try_mail() -> Trial:
            server = MailServer.parse(self.parts.settings.mail.url)
            times = Timeouts(5, 5, 5, 10)
            return try_out(server, timeouts=times, tls_context=client_tls())

        asked = Patient(self.parts, self.parts.now(), lambda: self.zone, try_mail)
        [(_, verdict)] = doctor.examine(asked, [id])
        assert set(verdict.said) == {"en", "zh-Hans"}
        return verdict


@pytest.fixture
def post(sqlite_url: str, tmp_path: Path) -> Iterator[Callable[..., Post]]:
    made: list[Post] = []

    def make(url: str = "", server: SmtpServer | None = None, **zone: Any) -> Post:
        mail = {"url": url or "smtp://mail.x.org", "from": "contact@x.org"} | zone.pop("mail", {})
        post = Post(parts_for(tmp_path, sqlite_url, mail=mail), server, Zone(**zone))
        made.append(post)
        return post

    yield make
    for it in made:
        it.parts.let_go()


def test_the_mail_login_is_tried_for_real(post: Callable[..., Post]) -> None:
    with SmtpServer(tls=server_tls(), features=SIGN_IN) as server:
        url = f"smtp://user:secret@127.0.0.1:{server.port}?tls=starttls"
        good = post(url)
        assert good.look("mail.login").said["en"] == f"signed in at 127.0.0.1:{server.port}"
        assert good.look("mail.tls").said["en"].startswith("the certificate is good until ")
        assert server.messages == []

        server.plan(auth=Say("535 5.7.8 Bad credentials"))
        refused = post(url).look("mail.login")
        assert (refused.level, refused.unreachable) == (Level.FAIL, False)
        assert "535" in refused.said["en"]


def test_a_mail_server_that_is_not_there_is_unreachable(post: Callable[..., Post]) -> None:
    with no_server() as url:
        verdict = post(url).look("mail.login")
    assert (verdict.level, verdict.unreachable) == (Level.FAIL, True)


@pytest.mark.parametrize("wrong", ["withheld", "another name", "expires soon"])
def test_f18_tls_that_is_withheld_wrong_or_about_to_end_is_told(
    post: Callable[..., Post], wrong: str
) -> None:
    tls = None if wrong == "withheld" else server_tls("127.0.0.1")
    if wrong == "another name":
        tls = server_tls("mail.elsewhere.example")
    with SmtpServer(tls=tls, features=SIGN_IN) as server:
        asked = post(f"smtp://user:secret@127.0.0.1:{server.port}?tls=starttls")
        if wrong == "expires soon":
            trial = try_out(
                MailServer.parse(asked.parts.settings.mail.url),
                timeouts=Timeouts(5, 5, 5, 10),
                tls_context=client_tls(),
            )
            assert trial.certificate_ends is not None
            late = trial.certificate_ends - timedelta(days=20)
            asked.parts.now = lambda: late
        verdict = asked.look("mail.tls")

    assert verdict.level is (Level.WARN if wrong == "expires soon" else Level.FAIL)


GOOD = {
    "texts": {
        "x.org": ["v=spf1 a:mail.x.org -all"],
        "_dmarc.x.org": ["v=DMARC1; p=reject"],
        "_domainkey.x.org": [],
        "default._domainkey.x.org": ["v=DKIM1; p=MIGf"],
    },
    "addresses": {"mail.x.org": ["192.0.2.9"]},
}


def without(name: str) -> dict[str, Any]:
    return {**GOOD, "texts": {k: v for k, v in GOOD["texts"].items() if k != name}}


def saying(name: str, *texts: str) -> dict[str, Any]:
    return {**GOOD, "texts": {**GOOD["texts"], name: list(texts)}}


@pytest.mark.parametrize(
    ("id", "zone", "level", "said"),
    [
        ("mail.spf", GOOD, Level.OK, "v=spf1"),
        ("mail.spf", without("x.org"), Level.FAIL, "has none"),
        ("mail.spf", saying("x.org", "v=spf1 -all", "v=spf1 a -all"), Level.FAIL, "several"),
        ("mail.spf", saying("x.org", "v=spf1 include:x.org"), Level.FAIL, "ten look-ups"),
        ("mail.spf", saying("x.org", "v=spf1 ip4:198.51.100.1 -all"), Level.WARN, "does not name"),
        ("mail.spf", saying("x.org", "v=spf1 a:mail.x.org +all"), Level.WARN, "anybody"),
        ("mail.dkim", GOOD, Level.OK, "default._domainkey.x.org"),
        ("mail.dkim", without("_domainkey.x.org"), Level.FAIL, "no key"),
        ("mail.dkim", without("default._domainkey.x.org"), Level.WARN, "usual names"),
        ("mail.dmarc", GOOD, Level.OK, "p=reject"),
        ("mail.dmarc", saying("_dmarc.x.org", "v=DMARC1; p=none"), Level.WARN, "p=none"),
        ("mail.dmarc", without("_dmarc.x.org"), Level.FAIL, "has none"),
    ],
)
def test_what_the_dns_says_in_our_name_is_judged(
    post: Callable[..., Post], id: str, zone: dict[str, Any], level: Level, said: str
) -> None:
    verdict = post(**zone).look(id)

    assert verdict.level is level
    assert said in verdict.said["en"]
    assert level is Level.OK or verdict.fix["zh-Hans"]


def test_p13_bounces_to_a_domain_that_does_not_vouch_for_ours_fail(
    post: Callable[..., Post],
) -> None:
    verdict = post(**GOOD, mail={"bounce_domain": "bounces.elsewhere.net"}).look("mail.dmarc")

    assert verdict.level is Level.FAIL
    assert "bounces.elsewhere.net" in verdict.said["en"]


def test_a_from_that_is_nobodys_domain_fails(post: Callable[..., Post]) -> None:
    verdict = post(**GOOD, mail={"from": "contact@localhost.localdomain"}).look("mail.spf")
    assert verdict.level is Level.FAIL


def test_a_dns_that_does_not_answer_is_unreachable_and_stops_no_other_check(
    post: Callable[..., Post],
) -> None:
    def dead() -> Names:
        raise Unavailable("DNS: LifetimeTimeout")

    asked = Patient(post().parts, post().parts.now(), dead, lambda: None)
    found = dict(doctor.examine(asked, ["mail.spf", "queue.age"]))

    assert (found["mail.spf"].level, found["mail.spf"].unreachable) == (Level.FAIL, True)
    assert found["queue.age"].level is Level.OK


def test_without_smtp_mail_reaches_nobody_and_the_network_is_not_asked(office: Parts) -> None:
    levels = {id: look(office, id).level for id in doctor.chosen(["mail"])}

    assert levels.pop("mail.login") is Level.WARN
    assert set(levels.values()) == {Level.OK}


def test_a_check_that_breaks_is_a_verdict_and_stops_no_other(
    office: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Patient) -> Verdict:
        raise ZeroDivisionError

    monkeypatch.setitem(doctor.CHECKS, "queue.age", broken)
    found = dict(doctor.examine(patient(office), ["queue.age", "queue.leases"]))

    assert "ZeroDivisionError" in found["queue.age"].said["en"]
    assert found["queue.leases"].level is Level.OK


def test_checks_are_chosen_by_their_id_or_by_what_stands_before_the_dot() -> None:
    assert doctor.chosen(["mail.spf", "ledger"]) == ["mail.spf", "ledger.balance"]
    assert doctor.chosen([]) == list(doctor.CHECKS)
    with pytest.raises(NotFound, match="mails"):
        doctor.chosen(["mails"])
