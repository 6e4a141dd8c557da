"""Checks of the database, and of what is kept in it."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from directory.adapters import duties, health, ledger, migrations
from directory.adapters.db import events
from directory.adapters.durability import broken_pages, seconds_ahead, undurable
from directory.services import alarms, history
from directory.services.doctor.words import Checks, Level, Patient, Verdict, both, fail, ok, warn
from directory.services.minute import free_mb

_BACKUP_LATE = timedelta(hours=26)  # nightly, and two hours for a slow one
_CLOCKS_APART_S = 5.0
_CLOCKS_WRONG_S = 60.0


def _durable(patient: Patient) -> Verdict:
    if wrong := undurable(patient.parts.db):
        return fail(
            both(
                "a commit may be lost when power fails: {wrong}",
                "断电时可能丢失已提交的数据：{wrong}",
                wrong=", ".join(wrong),
            ),
            both(
                "set fsync, full_page_writes and synchronous_commit to on; "
                "keep SQLite on a disk of this machine",
                "请将 fsync、full_page_writes、synchronous_commit 设为 on；SQLite 须放在本机磁盘",
            ),
        )
    return ok("commits are on disk when they return", "提交返回时数据已写入磁盘")


def _whole(patient: Patient) -> Verdict:
    if not patient.parts.db.is_sqlite:
        return ok("PostgreSQL checks its own pages", "由 PostgreSQL 自行检查")
    if found := broken_pages(patient.parts.db):
        return fail(
            both("the file is damaged: {found}", "数据库文件已损坏：{found}", found=found[:200]),
            both(
                "restore a backup: directory db restore FILE",
                "请恢复备份：directory db restore 文件",
            ),
        )
    return ok("the file is whole", "数据库文件完好")


def _migrations(patient: Patient) -> Verdict:
    at, newest = migrations.current(patient.parts.db), migrations.newest()
    if at == newest:
        return ok("at {at}", "版本 {at}", at=at)
    if at is not None and newest is not None and at > newest:
        return warn(
            both(
                "the database is at {at}, this release knows {newest}",
                "数据库版本 {at}，本程序版本为 {newest}",
                at=at,
                newest=newest,
            ),
            both("finish the upgrade: start the newer release", "请完成升级：启动新版本程序"),
        )
    return fail(
        both(
            "the database is at {at}, this release needs {newest}",
            "数据库版本 {at}，本程序需要 {newest}",
            at=at or "-",
            newest=newest,
        ),
        both("directory db upgrade", "directory db upgrade"),
    )


def _clock(patient: Patient) -> Verdict:
    apart = seconds_ahead(patient.parts.db, patient.now.timestamp())
    with patient.parts.db.reading() as session:
        latest: datetime | None = session.scalar(
            sa.select(events.c.at).order_by(events.c.id.desc()).limit(1)
        )
    ahead = (latest - patient.now).total_seconds() if latest else 0.0
    fix = both(
        "set the clock and keep it: timedatectl set-ntp true",
        "请校准时钟并保持同步：timedatectl set-ntp true",
    )
    said = both(
        "this machine and the database are {apart:.0f} s apart; "
        "the newest record is {ahead:.0f} s in the future",
        "本机与数据库时钟相差 {apart:.0f} 秒；最新记录在未来 {ahead:.0f} 秒",
        apart=abs(apart),
        ahead=max(ahead, 0.0),
    )
    if abs(apart) > _CLOCKS_WRONG_S or ahead > _CLOCKS_WRONG_S:
        return fail(said, fix)
    if abs(apart) > _CLOCKS_APART_S or ahead > _CLOCKS_APART_S:
        return warn(said, fix)
    return ok("agrees with the database and its records", "与数据库及其记录一致")


def _disk(patient: Patient) -> Verdict:
    free = free_mb(patient.parts.db)
    if free is None:
        return ok("the database is on another machine", "数据库位于其他机器")
    said = both("{free} MB are free", "剩余 {free} MB", free=free)
    fix = both(
        "make room: without any, enquiries are refused", "请清理磁盘：空间耗尽后将拒绝新咨询"
    )
    if free < alarms.DISK_LOW_MB:
        return fail(said, fix)
    return warn(said, fix) if free < 5 * alarms.DISK_LOW_MB else Verdict(Level.OK, said)


def _queue(patient: Patient) -> Verdict:
    times = patient.parts.settings.delivery
    with patient.parts.db.reading() as session:
        waiting = health.oldest_waiting(session)
    if waiting.since is None:
        return ok("nothing waits", "没有等待发送的邮件")
    seconds = (patient.now - waiting.since).total_seconds()
    said = both(
        "{count} messages wait, the oldest for {minutes:.0f} minutes",
        "{count} 封邮件等待发送，最早的已等待 {minutes:.0f} 分钟",
        count=waiting.count,
        minutes=seconds / 60,
    )
    fix = both("see why: directory mail queue", "请查看原因：directory mail queue")
    if seconds > times.alarm_after_s:
        return fail(said, fix)
    return warn(said, fix) if seconds > times.show_after_s else Verdict(Level.OK, said)


def _leases(patient: Patient) -> Verdict:
    with patient.parts.db.reading() as session:
        stuck = health.stuck_leases(session, now=patient.now)
    if not stuck:
        return ok("no claim has lapsed", "没有过期的占用")
    return warn(
        both(
            "{stuck} messages were claimed by a worker that is gone",
            "{stuck} 封邮件被已退出的进程占用",
            stuck=stuck,
        ),
        both("start workers: they take these over by themselves", "请启动发送进程，它们会自动接管"),
    )


def _paused(patient: Patient) -> Verdict:
    with patient.parts.db.reading() as session:
        switched = duties.switched(session, duties.MAIL_PAUSED)
    if switched is None:
        return ok("mail is sent", "邮件正常发送")
    return warn(
        both(
            "PAUSED since {at:%Y-%m-%d %H:%M} by {by}: {reason}",
            "自 {at:%Y-%m-%d %H:%M} 起由 {by} 暂停：{reason}",
            at=switched.at,
            by=switched.by,
            reason=switched.reason or "-",
        ),
        both(
            "look at what would be sent (directory mail queue), then: directory mail resume",
            "请先查看待发邮件（directory mail queue），再运行：directory mail resume",
        ),
    )


def _balance(patient: Patient) -> Verdict:
    # In one transaction, so that both are told of the same moment.
    with patient.parts.db.reading() as session:
        kept, anew = ledger.read(session), ledger.count_anew(session)
        lost = ledger.nowhere(session)
    if differences := kept.differences(anew):
        told = "; ".join(f"{name}: {a} ≠ {b}" for name, (a, b) in differences.items())
        return fail(
            both(
                "the books differ from the enquiries: {told}", "台账与咨询不符：{told}", told=told
            ),
            both("directory doctor --only ledger --fix", "directory doctor --only ledger --fix"),
        )
    if not anew.balances:
        return fail(
            both(
                "{anew}; nowhere: {refs}", "{anew}；无着落：{refs}", anew=anew, refs=", ".join(lost)
            ),
            both(
                "look at each (directory enquiry show REF) and send it on",
                "请逐一查看（directory enquiry show 编号）并重新转交",
            ),
        )
    return Verdict(Level.OK, both("{anew}", "{anew}", anew=anew))


def _history(patient: Patient) -> Verdict:
    with patient.parts.db.reading() as session:
        found = history.verify(session)
    if found.broken:
        return fail(
            both(
                "{count} histories are not as they were written: {some}",
                "{count} 条历史记录被改动：{some}",
                count=len(found.broken),
                some=", ".join(found.broken[:5]),
            ),
            both(
                "somebody changed the database by hand: compare it with a backup",
                "数据库曾被手工修改：请与备份比对",
            ),
        )
    return ok("{count} events, every chain whole", "{count} 条记录，链条完整", count=found.events)


def _backup(patient: Patient) -> Verdict:
    with patient.parts.db.reading() as session:
        last = duties.look(session, "backup")
    fix = both(
        "directory db backup FILE each night (docs/operate.md)",
        "请每晚运行 directory db backup 文件（见 docs/operate.md）",
    )
    if last.at is None:
        return warn(both("there was none yet", "尚无备份"), fix)
    hours = (patient.now - last.at).total_seconds() / 3600
    said = both("the last is {hours:.0f} hours old", "最近一次在 {hours:.0f} 小时前", hours=hours)
    return (
        warn(said, fix) if hours > _BACKUP_LATE.total_seconds() / 3600 else Verdict(Level.OK, said)
    )


def _standing(patient: Patient) -> Verdict:
    with patient.parts.db.reading() as session:
        found = alarms.standing(session)
    if not found:
        return ok("none stands", "当前没有警报")
    told = ", ".join(f"{kind} ({since:%Y-%m-%d %H:%M})" for kind, since in found)
    return fail(
        both("{told}", "{told}", told=told),
        both("each was told by mail, with what to do", "各警报的处理办法已通过邮件告知"),
    )


def _canary(patient: Patient) -> Verdict:
    settings = patient.parts.settings
    if not settings.canary.every_minutes:
        return ok("off: [canary] every_minutes is 0", "未启用：[canary] every_minutes 为 0")
    with patient.parts.db.reading() as session:
        last = duties.look(session, "canary")
    late = timedelta(minutes=2 * settings.canary.every_minutes + 5)
    if last.at is None or patient.now - last.at > late:
        return fail(
            both("none was sent when one was due", "到期的测试咨询未发送"),
            both("is a worker running?", "请确认发送进程在运行"),
        )
    return ok("the last was sent {at:%Y-%m-%d %H:%M}", "最近一次于 {at:%Y-%m-%d %H:%M}", at=last.at)


CHECKS: Checks = {
    "database.durable": _durable,
    "database.whole": _whole,
    "database.migrations": _migrations,
    "database.clock": _clock,
    "database.disk": _disk,
    "database.backup": _backup,
    "queue.age": _queue,
    "queue.leases": _leases,
    "queue.paused": _paused,
    "ledger.balance": _balance,
    "history.chains": _history,
    "alarms.standing": _standing,
    "canary.sent": _canary,
}
