"""Where enquiries go, and why: rules shown, examined and tried."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from directory.cli.base import EXIT_FINDINGS, Talk, cli, common, who, writes
from directory.cli.enquiries import finding_line
from directory.cli.progress import progress
from directory.domain.errors import NotFound

DRAFT = "draft"


@cli.group(cls=click.Group)
def rules() -> None:
    """Where enquiries go, and why."""


# Which rules are meant


def which(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which rules a command is about."""
    command = click.option("--version", type=int, metavar="N", help="A version of the past.")(
        command
    )
    command = click.option("--published", is_flag=True, help="Those that decide now.")(command)
    command = click.option("--draft", is_flag=True, help="The draft.")(command)
    return click.option("--name", default=DRAFT, metavar="NAME", help="Another draft’s name.")(
        command
    )


def meant(*, version: int | None, published: bool, draft: bool, name: str) -> str:
    """What the options of ``which`` come to, as ``rules_named`` takes it; "" for none of them."""
    if sum((version is not None, published, draft or name != DRAFT)) > 1:
        raise click.UsageError("say one of --published, --draft and --version")
    if version is not None:
        return str(version)
    if published:
        return "published"
    return f"draft:{name}" if draft or name != DRAFT else ""


def named(talk: Talk, session: Any, wanted: str) -> Any:
    """The rules called *wanted*; for "" the draft if there is one, else the published ones."""
    from directory.services.rules import rules_named

    def find(name: str) -> Any:
        return rules_named(session, name, desk=talk.settings.site.desk, now=talk.parts.now())

    if wanted:
        return find(wanted)
    try:
        found = find(DRAFT)
    except NotFound:
        return find("published")
    talk.say(say(talk, "the draft; --published is about the published rules"))
    return found


def from_file(file: Any) -> Any:
    """The rules of a rule file."""
    from directory.adapters.formats.rule_file import read_rules

    return read_rules(file).read()


_CHINESE = {
    "always": "始终",
    "draft": "草稿",
    "published": "已发布",
    "past": "已停用",
    "scheduled": "待生效",
    "superseded": "已被取代",
    "version {n}": "第{n}版",
    "{n} decided, {moved} moved on": "决定{n}件，转出{moved}件",
    "the draft; --published is about the published rules": "草稿；--published 指已发布的规则",
    "covered by": "被覆盖于",
    "example": "示例",
    "waived": "已豁免",
    "error": "错误",
    "warning": "警告",
    "info": "提示",
    "rule {n}": "第{n}条规则",
    "department": "所选部门",
    "topic": "咨询事项",
    "fallback": "兜底",
    "mailbox": "邮箱",
    "outcome": "处理方式",
    "replayed {n}, moved {moved}": "重放{n}件，变动{moved}件",
    "{n} ok, {broken} failed": "{n}条成立，{broken}条不成立",
    "added": "新增",
    "removed": "删除",
    "moved": "移动",
    "changed": "修改",
    "rule": "规则",
    "waiver": "豁免",
    "nothing differs": "没有差异",
    "there is no draft: version {n} and the one before": "没有草稿：比较第{n}版与其前一版",
    "there is no draft: the published rules beside themselves": "没有草稿：以已发布的规则自行比较",
    "published version {n}": "已发布第{n}版",
    "published version {n}, which decides from {at}": "已发布第{n}版，自{at}起生效",
    "version {n} was still to begin, and now never will": "第{n}版尚未生效，已被取代",
    "discarded {name}": "已丢弃草稿{name}",
}


def say(talk: Talk, text: str, **values: object) -> str:
    """The command's own words in the language asked for."""
    if talk.language == "zh-Hans":
        text = _CHINESE.get(text, text)
    return text.format(**values) if values else text


# Looking


@rules.command("list")
@which
@common
def rules_list(talk: Talk, **wanted: Any) -> None:
    """The rules in order, each as a sentence with what it did in the last ninety days."""
    from directory.services.moves import usage

    now = talk.parts.now()
    with talk.parts.db.reading() as session:
        found = named(talk, session, meant(**wanted) or "published")
        routes = talk.parts.published_with(session, found, now).routes
        counts = {it.rule: it for it in usage(session, now, found)}
    lines = []
    for position, rule in enumerate(found.rules, 1):
        sentence = rule.sentence(routes)[talk.language]
        lines.append(
            f"{position}. {rule.id}  {_name(rule, talk)}: {sentence}{_used(rule, counts, talk)}"
        )
    talk.data(
        {
            "version": found.version,
            **written(found),
            "usage": [
                {"rule": it.rule, "since": it.since, "decided": it.decided, "moved": it.moved}
                for it in counts.values()
            ],
        },
        lines,
    )


def written(found: Any) -> dict[str, Any]:
    """A set as a rule file has it."""
    return {
        "rules": found.write(),
        "examples": [example.write() for example in found.examples],
        "waivers": [waiver.write() for waiver in found.waivers],
    }


def _name(rule: Any, talk: Talk) -> str:
    from directory.domain.contacts import localised

    return localised(rule.name, talk.language)[0]


def _used(rule: Any, counts: Mapping[str, Any], talk: Talk) -> str:
    count = counts.get(rule.id)
    if count is None:
        return ""
    counted = say(talk, "{n} decided, {moved} moved on", n=count.decided, moved=count.moved)
    return f"  ({counted})"


@rules.command("show")
@click.argument("id", required=False)
@which
@common
def rules_show(talk: Talk, id: str | None, **wanted: Any) -> None:
    """One rule, or a whole version with who published it and why."""
    from dataclasses import replace

    from directory.adapters.formats import rfc3339
    from directory.adapters.formats.rule_file import write_rules
    from directory.services.moves import usage
    from directory.services.rules import versions

    now = talk.parts.now()
    with talk.parts.db.reading() as session:
        found = named(talk, session, meant(**wanted) or "published")
        routes = talk.parts.published_with(session, found, now).routes
        version = next((it for it in versions(session, now) if it.version == found.version), None)
        counts = {it.rule: it for it in usage(session, now, found)} if id else {}
    head = {
        "version": found.version,
        "state": version.state.value if version else DRAFT,
        "author": version.author if version else None,
        "reason": version.reason if version else None,
        "published_at": rfc3339(version.published_at) if version else None,
        "effective_at": rfc3339(version.effective_at) if version else None,
    }
    lines = [version_line(version, talk) if version else say(talk, DRAFT)]
    if id is None:
        talk.data(head | written(found), [*lines, "".join(write_rules(found)).rstrip()])
        return
    rule = next((rule for rule in found.rules if rule.id == id), None)
    if rule is None:
        raise NotFound(f"There is no rule “{id}”")
    place = found.rules.index(rule) + 1
    own = replace(
        found,
        rules=(rule,),
        examples=tuple(it for it in found.examples if it.rule == id),
        waivers=tuple(it for it in found.waivers if it.rule == id),
    )
    sentence = rule.sentence(routes)
    lines.append(f"{place}. {rule.id}  {_name(rule, talk)}{_used(rule, counts, talk)}")
    lines += [sentence[talk.language], "".join(write_rules(own)).rstrip()]
    talk.data(head | {"rule": place, "sentence": sentence, **written(own)}, lines)


@rules.command("versions")
@common
def rules_versions(talk: Talk) -> None:
    """Every version there is, the newest first."""
    from directory.adapters.formats import listing, rfc3339
    from directory.services.rules import versions

    with talk.parts.db.reading() as session:
        found = versions(session, talk.parts.now())
    items = [
        {
            "version": it.version,
            "state": it.state.value,
            "author": it.author,
            "reason": it.reason,
            "published_at": rfc3339(it.published_at),
            "effective_at": rfc3339(it.effective_at),
        }
        for it in found
    ]
    talk.data(listing(items), [version_line(it, talk) for it in found])


def version_line(version: Any, talk: Talk) -> str:
    """A version in a line."""
    return "  ".join(
        [
            say(talk, "version {n}", n=version.version),
            f"{version.effective_at:%Y-%m-%d %H:%M}Z",
            say(talk, version.state.value),
            version.author,
            version.reason,
        ]
    )


# Examining


@rules.command("check")
@click.argument("file", required=False, metavar="[FILE|-]", type=click.File("rb"))
@which
@click.option("--strict", is_flag=True, help="Warnings that nobody waived end with 1, too.")
@common
def rules_check(talk: Talk, file: Any, strict: bool, **wanted: Any) -> None:
    """What can be proven of the rules: dead ones, overlaps, a live mailbox for every enquiry.

    Of the draft if there is one, else of the published rules; or of a rule file.
    """
    from directory.services.rules import examine, name_of

    with talk.parts.db.reading() as session:
        found = from_file(file) if file else named(talk, session, meant(**wanted))
        seen = examine(session, found, settings=talk.settings, now=talk.parts.now())
    reasons = {waiver.name: waiver.reason for waiver in found.waivers}
    lines = [
        line
        for finding in seen.report.findings
        for line in finding_lines(finding, reasons.get(name_of(finding), ""), talk)
    ]
    talk.data(seen.report.to_json(), [*lines, seen.report.summary[talk.language]])
    if seen.report.errors or (strict and seen.open_warnings()):
        sys.exit(EXIT_FINDINGS)


def finding_lines(finding: Any, waived: str, talk: Talk) -> Iterable[str]:
    """A finding: its sentence, the rules before it that matter, the enquiry that shows it."""
    about = f"  {finding.rule}" if finding.rule else ""
    yield f"{say(talk, finding.severity.value)}  {finding.code}{about}"
    yield f"  {finding.text[talk.language]}"
    if finding.covered_by:
        yield f"  {say(talk, 'covered by')}: {', '.join(finding.covered_by)}"
    if finding.example:
        yield f"  {say(talk, 'example')}: {fields_line(finding.example)}"
    if waived:
        yield f"  {say(talk, 'waived')}: {waived}"


def fields_line(fields: Mapping[str, Any]) -> str:
    """An example enquiry in a line."""
    return "  ".join(
        f"{name}={' '.join(str(value).split())}" for name, value in fields.items() if value != ""
    )


@rules.command("test")
@click.argument("file", required=False, metavar="[FILE|-]", type=click.File("rb"))
@which
@common
def rules_test(talk: Talk, file: Any, **wanted: Any) -> None:
    """Whether every example kept with the rules goes where it must; or those of a rule file.

    A file with examples alone is held against the draft if there is one, else the published rules.
    """
    from dataclasses import replace

    from directory.adapters.formats.rule_file import read_rules
    from directory.domain.routing import Example
    from directory.services.rule_trials import check_examples

    with talk.parts.db.reading() as session:
        stated = read_rules(file) if file else None
        if stated is not None and stated.rules:
            found = stated.read()
        else:
            found = named(talk, session, meant(**wanted))
        if stated is not None and not stated.rules:
            kept = tuple(Example.read(value) for value in stated.examples)
            found = replace(found, examples=kept).checked()
        published = talk.parts.published_with(session, found, talk.parts.now())
        broken = {it.example.name: it for it in check_examples(session, published)}
    lines = [
        f"FAIL  {broken[it.name].text[talk.language]}"
        if it.name in broken
        else f"ok    {it.name} → {it.expect}"
        for it in found.examples
    ]
    held = len(found.examples) - len(broken)
    talk.data(
        {"ok": not broken, "held": held, "broken": [it.to_json() for it in broken.values()]},
        [*lines, say(talk, "{n} ok, {broken} failed", n=held, broken=len(broken))],
    )
    if broken:
        sys.exit(EXIT_FINDINGS)


# Trying


@rules.command("try")
@click.option("--topic", default="", metavar="CODE")
@click.option("--department", default="", metavar="SLUG")
@click.option("--reply-language", default="any", type=click.Choice(["en", "zh-Hans", "any"]))
@click.option("--country", default="", metavar="CC")
@click.option("--subject", default="", metavar="TEXT")
@click.option("--message", default="", metavar="TEXT", help="“-” reads standard input.")
@click.option("--from", "source", default="", metavar="URL", help="The page they came from.")
@click.option("--origin", default="", metavar="URL", help="The site the form stands in.")
@click.option("--answer", "answers", multiple=True, metavar="CODE=VALUE")
@click.option("--at", default="", metavar="TIME", help="RFC 3339; else now.")
@click.option("--returning/--first-time", default=None, help="Whether they wrote before.")
@click.option("--keep", default="", metavar="NAME", help="Keep it with the draft as an example.")
@which
@writes
@common
def rules_try(
    talk: Talk,
    message: str,
    answers: tuple[str, ...],
    at: str,
    keep: str,
    reason: str,
    as_email: str | None,
    version: int | None,
    published: bool,
    draft: bool,
    name: str,
    **fields: Any,
) -> None:
    """Where one enquiry would go, and what every rule made of it.

    With a draft, or a --version, both are asked. Nothing is stored but, with --keep, an example.
    """
    from directory.services.rule_trials import try_enquiry

    asked: dict[str, Any] = {
        field: value for field, value in fields.items() if value not in ("", None)
    }
    if text := sys.stdin.read() if message == "-" else message:
        asked["message"] = text
    if pairs := dict(_pair(answer, "--answer CODE=VALUE") for answer in answers):
        asked["answers"] = pairs
    if at:
        asked["at"] = at
    wanted = meant(version=version, published=published, draft=draft, name=name)
    now = talk.parts.now()
    with talk.parts.db.reading() as session:
        deciding = talk.parts.published(session, now)
        if (topic := fields["topic"]) and deciding.topic(topic) is None:
            raise NotFound(f"There is no topic “{topic}”")
        if (slug := fields["department"]) and deciding.department(session, slug) is None:
            raise NotFound(f"There is no department “{slug}”")
        beside = _beside(talk, session, wanted)
        other = talk.parts.published_with(session, beside, now) if beside else None
        trial = try_enquiry(session, {"at": now.isoformat(), **asked}, deciding, other)
    told = _way_json(trial.published, talk)
    lines = list(_way_lines(trial.published, talk))
    if trial.draft is not None and beside is not None:
        called = say(talk, "version {n}", n=beside.version) if beside.version else say(talk, DRAFT)
        lines = [
            f"{say(talk, 'published')} ({say(talk, 'version {n}', n=deciding.rules.version)})",
            *lines,
            "",
            called,
            *_way_lines(trial.draft, talk),
        ]
    told["draft"] = _way_json(trial.draft, talk) if trial.draft else None
    talk.data(told, lines)
    if keep:
        way = trial.draft or trial.published
        _keep(talk, name, keep, asked, way.department.slug, as_email, reason)


def _pair(text: str, form: str) -> tuple[str, str]:
    before, equals, after = text.partition("=")
    if not equals or not before.strip() or not after.strip():
        raise click.UsageError(f"write {form}, not {text!r}")
    return before.strip(), after.strip()


def _beside(talk: Talk, session: Any, wanted: str) -> Any:
    """The rules to be asked beside the published ones, None for no others."""
    if wanted == "published":
        return None
    if wanted:
        return named(talk, session, wanted)
    from directory.services.rule_drafts import draft_called

    try:
        return draft_called(session).rules
    except NotFound:
        return None


def _keep(
    talk: Talk,
    name: str,
    keep: str,
    asked: dict[str, Any],
    slug: str,
    as_email: str | None,
    reason: str,
) -> None:
    from directory.cli.base import in_transaction
    from directory.domain.rule_edits import keep_example
    from directory.services.rule_drafts import change_draft

    value = {"name": keep, "enquiry": asked, "expect": slug}
    in_transaction(
        talk,
        lambda session: change_draft(
            session,
            lambda found: keep_example(found, value),
            name,
            by=who(as_email),
            now=talk.parts.now(),
            reason=reason,
        ),
    )
    talk.say(f"kept “{keep}” → {slug}")


def _way_json(way: Any, talk: Talk) -> dict[str, Any]:
    from directory.domain.contacts import localised

    decision = way.decision
    return {
        "destination": {
            "department": way.department.slug,
            "name": way.department.name,
            "reason": decision.reason,
            "rule": decision.rule,
        },
        "recipient": decision.recipient,
        "version": decision.rule_set,
        "passed_over": decision.passed_over,
        "outcome": decision.outcome,
        "trace": [
            {
                **finding.to_json(),
                "name": localised(finding.name, talk.language)[0],
                "why": localised(finding.why, talk.language)[0],
            }
            for finding in way.trace
        ],
    }


def _way_lines(way: Any, talk: Talk) -> Iterable[str]:
    for finding in way.trace:
        yield finding_line(finding.to_json(), talk.language)
    decision = way.decision
    by = say(talk, "rule {n}", n=decision.rule) if decision.rule else say(talk, decision.reason)
    yield f"→ {way.department.slug} ({by})"


# What came in before


@rules.command("replay")
@click.argument("file", required=False, metavar="[FILE|-]", type=click.File("rb"))
@click.option("-n", "count", default=200, type=click.IntRange(1, 1_000_000), show_default=True)
@which
@common
def rules_replay(talk: Talk, file: Any, count: int, **wanted: Any) -> None:
    """Which of the last enquiries would go elsewhere by the draft, a --version or a rule file.

    Each is judged as it came in; nothing is stored or sent.
    """
    from directory.adapters.formats import rfc3339
    from directory.domain.values import Reference
    from directory.services.replay import Replay

    prefix = talk.settings.enquiry.reference_prefix
    now = talk.parts.now()
    items: list[dict[str, Any]] = []
    with talk.parts.db.reading() as session, progress(talk, "replaying") as bar:
        found = from_file(file) if file else named(talk, session, meant(**wanted))
        if found.version and not file and not meant(**wanted):
            talk.say(say(talk, "there is no draft: the published rules beside themselves"))
        deciding = talk.parts.published(session, now)
        other = talk.parts.published_with(session, found, now)
        replay = Replay(session, deciding, other, count=count, progress=bar)
        for moved in replay:
            ref = Reference(moved.ref).display(prefix)
            if talk.as_json:
                items.append(
                    {
                        "ref": ref,
                        "received_at": rfc3339(moved.received_at),
                        "topic": moved.topic,
                        "changed": list(moved.changed),
                        "old": moved.old.to_json(),
                        "new": moved.new.to_json(),
                    }
                )
            else:
                click.echo(_moved_line(ref, moved, talk))
    tally = replay.tally
    talk.data(
        {
            "replayed": tally.replayed,
            "moved": tally.moved,
            "elsewhere": tally.elsewhere,
            "by_rule": [
                {"old": old or None, "new": new or None, "moved": times}
                for (old, new), times in sorted(tally.by_rule.items())
            ],
            "items": items,
        },
        [say(talk, "replayed {n}, moved {moved}", n=tally.replayed, moved=tally.moved)],
    )


def _moved_line(ref: str, moved: Any, talk: Talk) -> str:
    def side(it: Any) -> str:
        by = f"{say(talk, 'rule {n}', n=it.rule)} {it.rule_id}" if it.rule else say(talk, it.reason)
        return f"{it.department} ({by})"

    changed = ", ".join(say(talk, what) for what in moved.changed)
    line = f"{ref}  {moved.topic or '-'}  {side(moved.old)} → {side(moved.new)}  [{changed}]"
    if "mailbox" in moved.changed:
        line += f"  {moved.old.recipient} → {moved.new.recipient}"
    if "outcome" in moved.changed:
        line += (
            f"  {fields_line(moved.old.outcome) or '-'} → {fields_line(moved.new.outcome) or '-'}"
        )
    return line
