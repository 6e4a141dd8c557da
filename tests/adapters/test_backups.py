"""A backup taken while the service runs is one moment's state, on each database, and comes back."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.adapters import backups, duties, ledger
from directory.adapters.db import deliveries, enquiries
from directory.adapters.mail import NullTransport
from directory.domain.errors import Conflict, NotFound
from directory.parts import Parts
from directory.services.backups import back_up, restore
from directory.worker import Worker
from tests.builders import a_submission, submit
from tests.postgres import PostgresServer

NIGHT = "night.backup"


@pytest.fixture(autouse=True)
def _postgresqls_programs(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the tests' own server: the system's may be of an older release."""
    monkeypatch.setenv("PATH", f"{postgres.programs}{os.pathsep}{os.environ['PATH']}")


def count(parts: Parts, table: sa.Table) -> int:
    with parts.db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_p18_on_each_database_a_backup_comes_back_with_mail_paused(
    office: Parts, tmp_path: Path
) -> None:
    submit(office)
    file = tmp_path / NIGHT
    back_up(office, file, overwrite=False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    Worker(office, NullTransport()).run_once()
    submit(office, a_submission(form_token="later"))
    office.let_go()

    with pytest.raises(Conflict, match="--yes"):
        restore(office, file, by="ops", overwrite=False)
    restored = restore(office, file, by="ops", overwrite=True)

    assert {row.kind for row in restored.would_send} == {"routed", "acknowledgement"}
    assert count(office, enquiries) == 1
    with office.db.reading() as session:
        assert ledger.read(session) == ledger.count_anew(session)
        switched = duties.switched(session, duties.MAIL_PAUSED)
    assert switched is not None and NIGHT in switched.reason
    assert Worker(office, NullTransport()).run_once().processed == 0


def test_a_backup_taken_under_load_is_one_moments_state(office: Parts, tmp_path: Path) -> None:
    """Each enquiry has two mails, committed with it: a state between moments would show."""
    stop = threading.Event()

    def send() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            email = None if number % 2 else a_submission().email
            submit(office, a_submission(form_token=f"form-{number}", email=email))

    submit(office, a_submission(form_token="first"))
    thread = threading.Thread(target=send)
    thread.start()
    try:
        back_up(office, tmp_path / NIGHT, overwrite=False)
    finally:
        stop.set()
        thread.join()
    taken = count(office, enquiries)
    office.let_go()
    restore(office, tmp_path / NIGHT, by="ops", overwrite=True)

    assert 1 <= count(office, enquiries) <= taken
    with office.db.reading() as session:
        orphans = session.scalar(
            sa.select(sa.func.count())
            .select_from(enquiries)
            .where(
                ~sa.select(deliveries.c.id)
                .where(deliveries.c.enquiry_id == enquiries.c.id)
                .exists()
            )
        )
        assert orphans == 0
        assert ledger.read(session) == ledger.count_anew(session)


def test_a_database_in_use_is_not_restored_over(office: Parts, tmp_path: Path) -> None:
    submit(office)
    file = tmp_path / NIGHT
    back_up(office, file, overwrite=False)
    office.let_go()
    other = type(office.db)(office.db.url.render_as_string(hide_password=False))
    with other.reading() as session:
        session.execute(sa.select(enquiries.c.id)).all()
        with pytest.raises(Conflict, match="stop the service first"):
            restore(office, file, by="ops", overwrite=True)
    other.dispose()


def test_without_pg_dump_it_is_said_what_to_install(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from directory.adapters.db import Database

    monkeypatch.setenv("PATH", str(tmp_path))
    database = Database(postgres_url)
    with pytest.raises(NotFound, match="apt install postgresql-client"):
        backups.take(database, tmp_path / NIGHT)
    assert list(tmp_path.glob(f"{NIGHT}*")) == []
    database.dispose()


def test_f22_a_backup_that_finds_no_room_leaves_nothing_half_done(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from directory.adapters.db import Database

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backups, "_copy", full)
    database = Database(sqlite_url)
    with pytest.raises(OSError, match="No space"):
        backups.take(database, tmp_path / NIGHT)

    assert list(tmp_path.glob(f"{NIGHT}*")) == []
    database.dispose()
