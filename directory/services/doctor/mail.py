"""Checks of the way out: the mail server, its certificate, what the DNS says in our name."""

from __future__ import annotations

from datetime import timedelta

from directory.adapters.smtp import MailServer
from directory.domain.errors import DeliveryFailure
from directory.domain.mail_records import (
    Dmarc,
    aligned,
    dkim_keys,
    read_dmarc,
    read_spf,
    records_for,
)
from directory.services.doctor.words import (
    Checks,
    Level,
    Patient,
    Verdict,
    both,
    fail,
    ok,
    warn,
)
from directory.settings import Settings

_SOON = timedelta(days=21)
# Stages at which the conversation ends for want of TLS, and not of a password.
_TLS_STAGES = frozenset({"starttls"})
_NOT_SMTP = ok("mail does not leave by SMTP", "邮件不经 SMTP 发出")


def domains(settings: Settings) -> tuple[str, str]:
    """The domain of the From address, and that of envelope senders."""
    return settings.mail.from_.rpartition("@")[2].lower(), settings.bounce_domain.lower()


def records(settings: Settings) -> list[tuple[str, str, str]]:
    """The DNS records to add, as (name, type, value)."""
    sender, bounces = domains(settings)
    host = MailServer.parse(settings.mail.url).host if settings.mail.smtp else ""
    to = settings.mail.alarms[0] if settings.mail.alarms else settings.privacy.dpo
    return records_for(from_domain=sender, bounce_domain=bounces, smarthost=host, reports_to=to)


def _login(patient: Patient) -> Verdict:
    try:
        trial = patient.trial()
    except DeliveryFailure as failure:
        if failure.stage in _TLS_STAGES:
            return ok(
                "the server answers; TLS fails (see mail.tls)",
                "服务器有应答；TLS 失败（见 mail.tls）",
            )
        if failure.stage == "auth":
            return fail(
                both("sign-in refused: {it}", "登录被拒绝：{it}", it=_told(failure)),
                both("check user and password in [mail] url", "请检查 [mail] url 中的用户名与密码"),
            )
        return fail(
            both("no conversation: {it}", "无法连接：{it}", it=_told(failure)),
            both(
                "check host and port in [mail] url, and the way there",
                "请检查 [mail] url 中的主机与端口，以及网络",
            ),
            unreachable=True,
        )
    if trial is None:
        return warn(
            both("mail is kept here and reaches nobody", "邮件仅保存在本机，不会送达任何人"),
            both("set [mail] url to your mail server", "请将 [mail] url 设为邮件服务器"),
        )
    if not trial.signed_in:
        return ok("{at} answers; no user is set", "{at} 有应答；未设置用户名", at=trial.server)
    return ok("signed in at {at}", "已登录 {at}", at=trial.server)


def _tls(patient: Patient) -> Verdict:
    settings = patient.parts.settings
    if not settings.mail.smtp:
        return _NOT_SMTP
    if MailServer.parse(settings.mail.url).tls == "none":
        return _plain(settings)
    try:
        trial = patient.trial()
    except DeliveryFailure as failure:
        if failure.stage not in _TLS_STAGES:
            return warn(
                both("not seen: {it}", "未能查看：{it}", it=_told(failure)),
                both("see mail.login", "见 mail.login"),
            )
        return fail(
            both(
                "no mail leaves without TLS: {it}", "没有 TLS 则不发送邮件：{it}", it=_told(failure)
            ),
            both(
                "the name in [mail] url must be on a valid certificate",
                "证书须有效，且包含 [mail] url 中的主机名",
            ),
        )
    if trial is None or trial.certificate_ends is None:
        return _plain(settings)
    left = trial.certificate_ends - patient.now
    said = both(
        "the certificate is good until {day:%Y-%m-%d}",
        "证书有效期至 {day:%Y-%m-%d}",
        day=trial.certificate_ends,
    )
    if left < _SOON:
        return warn(said, both("have it renewed before", "请在到期前续签"))
    return Verdict(Level.OK, said)


def _plain(settings: Settings) -> Verdict:
    server = MailServer.parse(settings.mail.url)
    said = both("plain text to {host}", "与 {host} 之间为明文", host=server.host)
    if server.host in {"127.0.0.1", "::1", "localhost"}:
        return Verdict(Level.OK, said)
    return warn(said, both("say tls=starttls in [mail] url", "请在 [mail] url 中设置 tls=starttls"))


def _told(failure: DeliveryFailure) -> str:
    return f"{failure.stage} {failure.code or ''} {failure.reply}".replace("  ", " ").strip()[:200]


def _no_real_domain(settings: Settings) -> Verdict | None:
    sender, _ = domains(settings)
    if not settings.mail.smtp:
        return _NOT_SMTP
    if "." not in sender or sender.endswith((".localdomain", ".example", ".test", ".invalid")):
        return fail(
            both("{sender} is no domain of yours", "{sender} 不是可用的域名", sender=sender),
            both("set [mail] from to an address of yours", "请将 [mail] from 设为本机构地址"),
        )
    return None


def _spf(patient: Patient) -> Verdict:
    settings = patient.parts.settings
    if verdict := _no_real_domain(settings):
        return verdict
    _, bounces = domains(settings)
    names = patient.names()
    server = MailServer.parse(settings.mail.url)
    addresses = names.addresses(server.host) or []
    spf = read_spf(bounces, names, addresses)
    name, kind, value = records(settings)[0]
    fix = both("add {r}", "请添加 {r}", r=f'{name}. {kind} "{value}"')
    match spf.problem:
        case "none":
            return fail(both("{d} has none", "{d} 没有记录", d=bounces), fix)
        case "several":
            return fail(
                both(
                    "{d} has several: receivers use none",
                    "{d} 有多条记录，接收方将全部忽略",
                    d=bounces,
                ),
                both("keep one", "请只保留一条"),
            )
        case "lookups":
            return fail(
                both("{d} asks for more than ten look-ups", "{d} 的查询超过十次", d=bounces),
                both("name addresses in place of include:", "请用地址代替 include:"),
            )
    if spf.allows is False:
        return warn(
            both(
                "{d} does not name {host}: {r}",
                "{d} 未包含 {host}：{r}",
                d=bounces,
                host=server.host,
                r=spf.record,
            ),
            both(
                "right if your server sends from another address; else add a:{host}",
                "若邮件服务器从其他地址发信则无妨，否则请添加 a:{host}",
                host=server.host,
            ),
        )
    if not spf.closed:
        return warn(
            both("{r} lets anybody send", "{r} 允许任何人发信", r=spf.record),
            both("end it in -all", "请以 -all 结尾"),
        )
    return ok("{r}", "{r}", r=spf.record)


def _dkim(patient: Patient) -> Verdict:
    settings = patient.parts.settings
    if verdict := _no_real_domain(settings):
        return verdict
    sender, _ = domains(settings)
    keys = dkim_keys(sender, patient.names())
    fix = both(
        "have your mail server sign for {d}, and publish the key it names",
        "请让邮件服务器为 {d} 签名，并发布其密钥",
        d=sender,
    )
    if keys is None:
        return fail(both("{d} has no key", "{d} 没有密钥", d=sender), fix)
    if not keys:
        return warn(
            both(
                "{d} has keys, under none of the usual names; they were not seen",
                "{d} 有密钥，但不在常用名称下，未能查看",
                d=sender,
            ),
            both("look at a mail that arrived: dkim=pass?", "请查看已送达的邮件是否为 dkim=pass"),
        )
    return ok("{keys}", "{keys}", keys=", ".join(f"{k}._domainkey.{sender}" for k in keys))


def _dmarc(patient: Patient) -> Verdict:
    settings = patient.parts.settings
    if verdict := _no_real_domain(settings):
        return verdict
    sender, bounces = domains(settings)
    dmarc: Dmarc = read_dmarc(sender, patient.names())
    name, kind, value = records(settings)[1]
    fix = both("add {r}", "请添加 {r}", r=f'{name}. {kind} "{value}"')
    if not dmarc.domain:
        return fail(both("{d} has none", "{d} 没有记录", d=sender), fix)
    if not aligned(bounces, sender, dmarc):
        return fail(
            both(
                "bounces come to {b}, which does not vouch for {d}",
                "退信域名 {b} 与发件域名 {d} 不一致",
                b=bounces,
                d=sender,
            ),
            both(
                "set [mail] bounce_domain to {d} or a name below it",
                "请将 [mail] bounce_domain 设为 {d} 或其子域名",
                d=sender,
            ),
        )
    if dmarc.policy == "none":
        return warn(
            both(
                "p=none at {d}: anybody may write in your name",
                "{d} 为 p=none：任何人都可冒用贵方名义",
                d=dmarc.domain,
            ),
            both(
                "once SPF and DKIM pass, set p=quarantine, then p=reject",
                "待 SPF 与 DKIM 通过后，设为 p=quarantine，再设为 p=reject",
            ),
        )
    return ok("p={p} at {d}", "{d} 为 p={p}", p=dmarc.policy, d=dmarc.domain)


CHECKS: Checks = {
    "mail.login": _login,
    "mail.tls": _tls,
    "mail.spf": _spf,
    "mail.dkim": _dkim,
    "mail.dmarc": _dmarc,
}
