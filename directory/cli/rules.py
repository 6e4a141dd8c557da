"""Where enquiries go, and why."""

from __future__ import annotations

import json
import sys

import click

from directory.cli.base import Talk, cli, common
from directory.cli.enquiries import finding_line
from directory.domain.errors import (
    NotFound,
)


@cli.group(cls=click.Group)
def rules() -> None:
    """Where enquiries go, and why."""


@rules.command("list")
@common
def rules_list(talk: Talk) -> None:
    """The published rules, in order."""
    from directory.domain.contacts import localised
    from directory.domain.conditions import write_condition

    with talk.parts.db.reading() as session:
        published = talk.parts.published(session, talk.parts.now())
    found = published.rules
    lines = []
    for position, rule in enumerate(found.rules, 1):
        name = localised(rule.name, talk.language)[0]
        when = json.dumps(write_condition(rule.when), ensure_ascii=False) if rule.when else "always"
        lines.append(f"{position}. {rule.id}  {name}: {when} → {rule.send_to}")
    talk.data({"version": found.version, "rules": found.write()}, lines)


@rules.command("try")
@click.option("--topic", default="", metavar="CODE")
@click.option("--department", default="", metavar="SLUG")
@click.option("--reply-language", default="any", type=click.Choice(["en", "zh-Hans", "any"]))
@click.option("--country", default="", metavar="CC")
@click.option("--message", default="", metavar="TEXT", help="“-” reads standard input.")
@common
def rules_try(
    talk: Talk, topic: str, department: str, reply_language: str, country: str, message: str
) -> None:
    """Where one enquiry would go, and what every rule made of it."""
    from directory.domain.contacts import localised
    from directory.domain.routing import Facts, decide

    if message == "-":
        message = sys.stdin.read()
    with talk.parts.db.reading() as session:
        published = talk.parts.published(session, talk.parts.now())
        if topic and published.topic(topic) is None:
            raise NotFound(f"There is no topic “{topic}”")
        if department and published.department(session, department) is None:
            raise NotFound(f"There is no department “{department}”")
        routes = published.routes_with(session, department)
        facts = Facts(
            topic=topic,
            department=department,
            reply_language=reply_language,
            country=country.upper(),
            text=message,
        )
        decision = decide(facts, published.rules, routes)
        destination = published.department_of(session, decision)
    rule = f"rule {decision.rule}" if decision.rule else decision.reason
    talk.data(
        {
            "destination": {
                "department": destination.slug,
                "name": destination.name,
                "reason": decision.reason,
                "rule": decision.rule,
            },
            "recipient": decision.recipient,
            "version": decision.rule_set,
            "trace": [
                {
                    **finding,
                    "name": localised(finding["name"], talk.language)[0],
                    "why": localised(finding["why"], talk.language)[0],
                }
                for finding in decision.trace
            ],
        },
        [
            *(finding_line(finding, talk.language) for finding in decision.trace),
            f"→ {destination.slug} ({rule})",
        ],
    )
