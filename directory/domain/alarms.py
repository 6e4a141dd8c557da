"""What can be wrong with the service itself, and what to do about it, in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from directory.domain.contacts import Localised


class AlarmKind(StrEnum):
    """Each is told about by one mail an hour at most."""

    REFUSED_US = "mail.refused_us"
    PARKED = "mail.parked"
    UNDELIVERABLE = "mail.undeliverable"
    QUEUE_OLD = "queue.old"
    LEDGER = "ledger.unbalanced"
    DESK = "mailbox.desk"
    CANARY = "canary.lost"
    DISK = "disk.low"


@dataclass(frozen=True, slots=True)
class AlarmWords:
    """``what`` is wrong and the ``fix``, with {facts} to fill in."""

    what: Localised
    fix: Localised

    def filled(self, facts: dict[str, Any]) -> AlarmWords:
        return AlarmWords(
            {tag: text.format(**facts) for tag, text in self.what.items()},
            {tag: text.format(**facts) for tag, text in self.fix.items()},
        )


ALARMS = {
    AlarmKind.REFUSED_US: AlarmWords(
        {
            "en": "The mail server {server} refuses us: {reply}",
            "zh-Hans": "邮件服务器 {server} 拒绝了本服务：{reply}",
        },
        {
            "en": "Check user, password and TLS in [mail] url, then run: directory doctor",
            "zh-Hans": "请检查 [mail] url 中的用户名、密码与 TLS，然后运行：directory doctor",
        },
    ),
    AlarmKind.PARKED: AlarmWords(
        {
            "en": "A message could not be built or handed over ({reason}); it is kept and waits",
            "zh-Hans": "有邮件无法生成或移交（{reason}），已保留待处理",
        },
        {
            "en": "Look for mail.not_composed in the log; when repaired: directory mail retry {id}",
            "zh-Hans": "请在日志中查找 mail.not_composed；修复后运行：directory mail retry {id}",
        },
    ),
    AlarmKind.UNDELIVERABLE: AlarmWords(
        {
            "en": "An enquiry reached no mailbox, not even the desk's ({ref})",
            "zh-Hans": "有咨询未能送达任何邮箱，包括咨询台邮箱（{ref}）",
        },
        {
            "en": "See: directory enquiry list --attention. Give the desk a mailbox that works",
            "zh-Hans": "请查看：directory enquiry list --attention，并为咨询台设置可用邮箱",
        },
    ),
    AlarmKind.QUEUE_OLD: AlarmWords(
        {
            "en": "Mail waits since {since}: {count} messages are not accepted yet",
            "zh-Hans": "自 {since} 起有邮件等待发送：{count} 封尚未被接收",
        },
        {
            "en": "See why: directory mail queue, directory doctor --only mail",
            "zh-Hans": "请查看原因：directory mail queue、directory doctor --only mail",
        },
    ),
    AlarmKind.LEDGER: AlarmWords(
        {
            "en": "The ledger does not balance: {ledger}",
            "zh-Hans": "台账不平：{ledger}",
        },
        {
            "en": "Count anew and find which: directory doctor --only ledger",
            "zh-Hans": "请重新核对：directory doctor --only ledger",
        },
    ),
    AlarmKind.DESK: AlarmWords(
        {
            "en": "The desk “{desk}” has no mailbox that works: what others refuse goes nowhere",
            "zh-Hans": "咨询台“{desk}”没有可用邮箱，被其他邮箱拒收的邮件将无处可去",
        },
        {
            "en": "Give it one: directory department set {desk} routing_email=ADDRESS",
            "zh-Hans": "请设置邮箱：directory department set {desk} routing_email=地址",
        },
    ),
    AlarmKind.CANARY: AlarmWords(
        {
            "en": "The test enquiry {ref} of {sent} was not accepted within {within_s} seconds",
            "zh-Hans": "{sent} 的测试咨询 {ref} 未在 {within_s} 秒内被接收",
        },
        {
            "en": "Are workers running? directory mail queue, directory doctor",
            "zh-Hans": "请确认发送进程在运行：directory mail queue、directory doctor",
        },
    ),
    AlarmKind.DISK: AlarmWords(
        {
            "en": "The disk is nearly full: {free_mb} MB are left where the database is",
            "zh-Hans": "磁盘空间不足：数据库所在磁盘仅剩 {free_mb} MB",
        },
        {
            "en": "Make room; enquiries are refused with 503 when there is none",
            "zh-Hans": "请清理磁盘；空间耗尽后将以 503 拒绝新咨询",
        },
    ),
}
