"""Checks of the installation, and of the directory itself."""

from __future__ import annotations

import stat
from collections import Counter
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa

from directory.adapters.db import contact_points, departments, topics
from directory.adapters.queries import current_rules, department_by_slug
from directory.domain.contacts import LANGUAGES, DepartmentStatus, PointKind, PointState
from directory.domain.errors import NotFound
from directory.services.doctor.words import Checks, Level, Patient, Verdict, both, fail, ok, warn
from directory.services.proofs import examine_rules
from directory.settings import SECURITY_TXT_DAYS, Settings, weak_keys

_EXPIRES_SOON = timedelta(days=30)
_NAMED = 5  # of many, so many by name


def _key(patient: Patient) -> Verdict:
    settings = patient.parts.settings
    if problems := weak_keys(settings.secret_key):
        return fail(
            both("{it}", "密钥不安全：{it}", it="; ".join(problems)),
            both(
                "directory init writes a good one; DIRECTORY_SECRET_KEY_FILE names it",
                "directory init 可生成密钥；用 DIRECTORY_SECRET_KEY_FILE 指定",
            ),
        )
    return ok(
        "{count} keys, none of them weak",
        "{count} 个密钥，强度足够",
        count=len(settings.secret_key),
    )


def _open_files(patient: Patient) -> list[str]:
    settings = patient.parts.settings
    known = [settings.root / settings.secret_key_file] if settings.secret_key_file else []
    if settings.path is not None and _holds_a_secret(settings):
        known.append(settings.path)
    return [
        str(path)
        for path in known
        if path.is_file() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]


def _holds_a_secret(settings: Settings) -> bool:
    """Whether a password or token stands in the configuration file itself."""
    secrets = {
        "mail.url": urlsplit(settings.mail.url).password,
        "database.url": urlsplit(settings.database.url).password,
        "inbound.imap": urlsplit(settings.inbound.imap).password,
        "metrics.token": settings.metrics.token.get_secret_value(),
    }
    return any(secret and settings.origin(key) == "file" for key, secret in secrets.items())


def _private(patient: Patient) -> Verdict:
    if found := _open_files(patient):
        return fail(
            both("others can read {files}", "其他用户可读取 {files}", files=", ".join(found)),
            both("chmod 600 {files}", "chmod 600 {files}", files=" ".join(found)),
        )
    return ok("files with keys are ours alone", "密钥文件仅本用户可读")


def _address(patient: Patient) -> Verdict:
    site = patient.parts.settings.site
    if site.base_url.startswith("https:"):
        return ok("{url}", "{url}", url=site.base_url)
    return warn(
        both("{url} is not https", "{url} 不是 https", url=site.base_url),
        both(
            "put a proxy with TLS before it (docs/operate.md)",
            "请在前面配置 TLS 代理（见 docs/operate.md）",
        ),
    )


def _security_txt(patient: Patient) -> Verdict:
    ends = patient.now + timedelta(days=SECURITY_TXT_DAYS)
    settings = patient.parts.settings
    with patient.parts.db.reading() as session:
        desk = department_by_slug(session, settings.site.desk)
        contact = settings.privacy.dpo or bool(desk.public_points(PointKind.EMAIL))
    if not contact:
        return warn(
            both("it names a page, for there is no public mailbox", "没有公开邮箱，只能给出网页"),
            both("set [privacy] dpo", "请设置 [privacy] dpo"),
        )
    said = both(
        "read today, it holds until {d:%Y-%m-%d}", "今日读取，有效期至 {d:%Y-%m-%d}", d=ends
    )
    if ends - patient.now < _EXPIRES_SOON:
        return warn(said, both("restart with this release", "请重启服务"))
    return Verdict(Level.OK, said)


def _desk(patient: Patient) -> Verdict:
    slug = patient.parts.settings.site.desk
    with patient.parts.db.reading() as session:
        try:
            mailbox = department_by_slug(session, slug).mailbox
        except NotFound:
            mailbox = None
    if mailbox is None or not mailbox.live:
        return fail(
            both("the desk “{slug}” has no mailbox", "咨询台“{slug}”没有可用邮箱", slug=slug),
            both(
                "directory department set {slug} routing_email=ADDRESS",
                "directory department set {slug} routing_email=地址",
                slug=slug,
            ),
        )
    return ok("the desk has a mailbox", "咨询台邮箱可用")


def _mailboxes(patient: Patient) -> Verdict:
    wanted = (
        sa.select(contact_points.c.state, departments.c.slug)
        .join(departments, departments.c.id == contact_points.c.department_id)
        .where(
            contact_points.c.kind == PointKind.EMAIL,
            contact_points.c.state != PointState.RETIRED,
            departments.c.status == DepartmentStatus.ACTIVE,
        )
        .order_by(departments.c.slug)
    )
    with patient.parts.db.reading() as session:
        rows = session.execute(wanted).all()
    states = Counter(state for state, _ in rows)
    failing = [s for state, s in rows if state in {PointState.SUSPECT, PointState.SUSPENDED}]
    unproven = [s for state, s in rows if state in {PointState.PROPOSED, PointState.VERIFYING}]
    counts = ", ".join(f"{states[state]} {state}" for state in PointState if states[state])
    if failing:
        return warn(
            both(
                "{counts}; refused mail: {some}",
                "{counts}；曾拒收邮件：{some}",
                counts=counts,
                some=_some(failing),
            ),
            both("replace or verify them: directory verify", "请更换或核实：directory verify"),
        )
    if unproven:
        return warn(
            both(
                "{counts}; nobody has confirmed: {some}",
                "{counts}；尚未确认：{some}",
                counts=counts,
                some=_some(unproven),
            ),
            both(
                "ask them: directory department verify --due",
                "请发送核实邮件：directory department verify --due",
            ),
        )
    return ok("{counts}", "{counts}", counts=counts or "0")


def _rules(patient: Patient) -> Verdict:
    settings = patient.parts.settings
    with patient.parts.db.reading() as session:
        rules = current_rules(session, patient.now, desk=settings.site.desk)
        report = examine_rules(session, rules, settings=settings, now=patient.now)
    fix = both("directory rules check", "directory rules check")
    said = dict(report.summary)
    if not report.ok:
        return fail(said, fix)
    warnings = [it for it in report.findings if it.severity == "warning"]
    return warn(dict(warnings[0].text), fix) if warnings else Verdict(Level.OK, said)


def _translations(patient: Patient) -> Verdict:
    missing: list[str] = []
    site = patient.parts.settings.site
    if len([tag for tag in site.languages if site.name.get(tag)]) < len(site.languages):
        missing.append("[site] name")
    with patient.parts.db.reading() as session:
        named = sa.select(departments.c.slug, departments.c.name).where(
            departments.c.status == DepartmentStatus.ACTIVE
        )
        labelled = sa.select(topics.c.code, topics.c.label).where(topics.c.active)
        for wanted in (named, labelled):
            missing += [
                key for key, texts in session.execute(wanted) if not _in_all(texts, site.languages)
            ]
    if missing:
        return warn(
            both(
                "{count} names in one language only: {some}",
                "{count} 个名称缺少译文：{some}",
                count=len(missing),
                some=_some(missing),
            ),
            both(
                "directory department set SLUG name_zh_hans=…",
                "directory department set 标识 name_zh_hans=…",
            ),
        )
    return ok("every name is in {count} languages", "名称均有 {count} 种语言", count=len(LANGUAGES))


def _in_all(texts: dict[str, str], languages: tuple[str, ...]) -> bool:
    return all(texts.get(tag) for tag in languages)


def _some(slugs: list[str]) -> str:
    more = len(slugs) - _NAMED
    return ", ".join(slugs[:_NAMED]) + (f" (+{more})" if more > 0 else "")


def close_to_others(patient: Patient) -> None:
    """Take reading from everybody else, where keys are."""
    for file in _open_files(patient):
        Path(file).chmod(0o600)


CHECKS: Checks = {
    "secrets.key": _key,
    "secrets.private": _private,
    "site.address": _address,
    "site.security_txt": _security_txt,
    "directory.desk": _desk,
    "directory.mailboxes": _mailboxes,
    "directory.rules": _rules,
    "directory.translations": _translations,
}
