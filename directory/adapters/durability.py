"""Whether what the database calls committed would survive the loss of power."""

from __future__ import annotations

from pathlib import Path

from directory.adapters.db import Database

# File systems on which SQLite's locks cannot be trusted (sqlite.org/howtocorrupt.html).
_SHARES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "glusterfs"}
)
_WANTED_OF_SQLITE = {"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"}
_WANTED_OF_POSTGRESQL = {
    "fsync": {"on"},
    "full_page_writes": {"on"},
    "synchronous_commit": {"on", "remote_write", "remote_apply"},
}


def undurable(db: Database) -> list[str]:
    """Settings that could lose what was acknowledged, as "fsync=off"; empty where all is well.

    As they hold for a connection of ours. Raises Unavailable.
    """
    with db.writing() as session:
        connection = session.connection()
        if db.is_sqlite:
            found = {
                name: str(connection.exec_driver_sql(f"PRAGMA {name}").scalar())
                for name in _WANTED_OF_SQLITE
            }
            wrong = [f"{k}={v}" for k, v in found.items() if v != _WANTED_OF_SQLITE[k]]
            share = _share_below(Path(db.url.database or "."))
            return [*wrong, f"file system={share}"] if share else wrong
        shown = {
            name: str(connection.exec_driver_sql(f"SHOW {name}").scalar())
            for name in _WANTED_OF_POSTGRESQL
        }
        return [f"{k}={v}" for k, v in shown.items() if v not in _WANTED_OF_POSTGRESQL[k]]


def _share_below(path: Path) -> str:
    """The kind of network share *path* is on, "" for a disk of this machine."""
    mounts = Path("/proc/mounts")
    if not mounts.is_file():
        return ""
    longest, kind = "", ""
    for line in mounts.read_text(errors="replace").splitlines():
        _, where, what, *_ = line.split(" ")
        inside = path.resolve().is_relative_to(where.replace("\\040", " "))
        if inside and len(where) >= len(longest):
            longest, kind = where, what
    return kind if kind in _SHARES else ""


def broken_pages(db: Database) -> str:
    """What SQLite finds wrong with its file, "" for nothing. Reads the whole file."""
    if not db.is_sqlite:
        return ""
    with db.reading() as session:
        found = session.connection().exec_driver_sql("PRAGMA quick_check(1)").scalar()
    return "" if found == "ok" else str(found)


def seconds_ahead(db: Database, now: float) -> float:
    """How far the database's clock is ahead of *now* (seconds since 1970)."""
    asked = "SELECT extract(epoch FROM clock_timestamp())"
    if db.is_sqlite:
        asked = "SELECT (julianday('now') - 2440587.5) * 86400.0"
    with db.reading() as session:
        return float(session.connection().exec_driver_sql(asked).scalar() or 0) - now
