"""What the analysis says, in both languages, for people who write rules and no programs."""

from __future__ import annotations

from collections.abc import Sequence

from directory.domain.conditions import Why, listing
from directory.domain.contacts import Localised, localised

_QUOTES = {"en": "“{}”", "zh-Hans": "“{}”"}

# At the end of names that are too many to count.
MANY_MORE: Localised = {"en": "many more", "zh-Hans": "其他多条规则"}

LIVE: Why = {
    "en": "Every enquiry reaches a live mailbox",
    "zh-Hans": "每份咨询都能送达有效邮箱",
}


def _say(en: str, zh: str, **names: Localised | Sequence[Localised]) -> Why:
    """Both sentences with *names* put in, each in its own language and in quotation marks."""
    said = {}
    for language, sentence in (("en", en), ("zh-Hans", zh)):
        shown = {
            key: _quoted(name, language)
            if isinstance(name, dict)
            else listing(
                [one if one is MANY_MORE else {language: _quoted(one, language)} for one in name],
                language,
                every=True,
            )
            for key, name in names.items()
        }
        said[language] = sentence.format(**shown)
    return said


def _quoted(name: Localised, language: str) -> str:
    return _QUOTES[language].format(localised(name, language)[0])


def _literal(text: str) -> str:
    """*text* as it stands in a sentence that is still to be filled in."""
    return text.replace("{", "{{").replace("}", "}}")


def plain(text: str) -> Localised:
    """A code or a word, the same in every language."""
    return {"en": text, "zh-Hans": text}


def not_live(finding: Why) -> Why:
    """The summary where some enquiry does not arrive, by the first finding that says so."""
    return {
        "en": f"Not every enquiry reaches a live mailbox. For example: {finding['en']}",
        "zh-Hans": f"并非每份咨询都能送达有效邮箱。例如：{finding['zh-Hans']}",
    }


def no_example(why: Why) -> Why:
    """*why*, where no enquiry could be written that shows it."""
    return {
        "en": f"{why['en']} (no example could be written; please look at the rule yourself)",
        "zh-Hans": f"{why['zh-Hans']}（未能写出示例，请自行查看该规则）",
    }


def unsettled(rule: Localised) -> Why:
    return _say(
        "Rule {rule} combines its conditions with those of earlier rules in too many ways: "
        "whether it is ever reached could not be found out",
        "规则{rule}的条件与前面各条规则的组合过多，未能判断它是否会生效",
        rule=rule,
    )


def covered(rule: Localised, by: Sequence[Localised]) -> Why:
    if len(by) == 1:
        return _say(
            "Rule {rule} is never reached: rule {by}, which comes before it, "
            "takes every enquiry that it would",
            "规则{rule}永远不会生效：凡符合它的咨询，都已先由规则{by}处理",
            rule=rule,
            by=by,
        )
    return _say(
        "Rule {rule} is never reached: rules {by}, which come before it, "
        "together take every enquiry that it would",
        "规则{rule}永远不会生效：凡符合它的咨询，都已先由规则{by}共同处理",
        rule=rule,
        by=by,
    )


def impossible(rule: Localised, unknown: Sequence[tuple[str, str, str]]) -> Why:
    """*unknown*: what a rule names that does not exist, as (English kind, Chinese kind, name)."""
    if not unknown:
        return _say(
            "Rule {rule} is never reached: no enquiry can meet all its conditions at once",
            "规则{rule}永远不会生效：没有咨询能同时满足它的所有条件",
            rule=rule,
        )
    en = _literal(" and ".join(f"{kind} “{name}”" for kind, _, name in unknown))
    zh = _literal("和".join(f"{kind}“{name}”" for _, kind, name in unknown))
    return _say(
        f"Rule {{rule}} is never reached: it asks for the {en}, which nobody can choose",
        f"规则{{rule}}永远不会生效：它要求的{zh}无人可以选择",
        rule=rule,
    )


def never_open(rule: Localised, departments: Sequence[Localised]) -> Why:
    return _say(
        "Rule {rule} is never reached: it asks whether {departments} is open, "
        "and no opening hours are known",
        "规则{rule}永远不会生效：它要求{departments}正在办公，但没有已知的办公时间",
        rule=rule,
        departments=departments,
    )


def overlap(rule: Localised, earlier: Sequence[Localised]) -> Why:
    return _say(
        "Some enquiries that rule {rule} describes are decided otherwise before it: by {earlier}",
        "符合规则{rule}的一部分咨询，会先由{earlier}作出不同的处理",
        rule=rule,
        earlier=earlier,
    )


def exception(rule: Localised, earlier: Sequence[Localised]) -> Why:
    return _say(
        "Exceptions to rule {rule} come before it: {earlier}",
        "规则{rule}之前有它的例外：{earlier}",
        rule=rule,
        earlier=earlier,
    )


def by_words(rule: Localised, earlier: Sequence[Localised]) -> Why:
    return _say(
        "Whoever writes words of rule {rule} and of another before it "
        "is not decided by it: {earlier}",
        "同时写有规则{rule}与前面规则关键词的咨询，不由它处理：{earlier}",
        rule=rule,
        earlier=earlier,
    )


def repeated(words: Sequence[str], rule: Localised, earlier: Sequence[Localised]) -> Why:
    return _say(
        "Rule {rule} looks for {words} as others before it do ({earlier}): "
        "one enquiry can match both",
        "规则{rule}与排在前面的规则（{earlier}）都查找{words}：同一份咨询可能同时符合",
        words=[plain(word) for word in words],
        rule=rule,
        earlier=earlier,
    )


_LANGUAGES: dict[str, Localised] = {
    "en": {"en": "English", "zh-Hans": "英文"},
    "zh-Hans": {"en": "Chinese", "zh-Hans": "中文"},
}


def one_language(rule: Localised, missing: Sequence[str]) -> Why:
    names = [_LANGUAGES.get(tag, plain(tag)) for tag in missing]
    en = _literal(listing(names, "en"))
    zh = _literal(listing(names, "zh-Hans"))
    return _say(
        f"Rule {{rule}} has no words in {en}: whoever writes in {en} is not found by it",
        f"规则{{rule}}没有{zh}关键词：用{zh}书写的咨询不会被它找到",
        rule=rule,
    )


def closed(rule: Localised, target: Localised, *, exists: bool, copy: bool) -> Why:
    en = "is closed" if exists else "does not exist"
    zh = "已关闭" if exists else "不存在"
    return _say(
        f"Rule {{rule}} {'sends copies' if copy else 'sends'} to {{target}}, which {en}",
        f"规则{{rule}}{'抄送' if copy else '转至'}的{{target}}{zh}",
        rule=rule,
        target=target,
    )


def without_mailbox(
    rule: Localised, target: Localised, *, suspended: bool, copy: bool, caught_by: Localised | None
) -> Why:
    """*caught_by* receives the enquiry instead; None where only the desk does."""
    en = "whose mailbox is suspended" if suspended else "which has no mailbox"
    zh = "的邮箱已停用" if suspended else "没有邮箱"
    if copy:
        return _say(
            f"Rule {{rule}} sends copies to {{target}}, {en}: they reach nobody there",
            f"规则{{rule}}抄送的{{target}}{zh}，抄送件无人收到",
            rule=rule,
            target=target,
        )
    if caught_by is None:
        return _say(
            f"Rule {{rule}} sends to {{target}}, {en} and for which nobody stands in: "
            "only the desk receives it",
            f"规则{{rule}}转至的{{target}}{zh}，也无人代理，只有总台收到",
            rule=rule,
            target=target,
        )
    return _say(
        f"Rule {{rule}} sends to {{target}}, {en}: {{caught_by}} receives it instead",
        f"规则{{rule}}转至的{{target}}{zh}，改由{{caught_by}}收到",
        rule=rule,
        target=target,
        caught_by=caught_by,
    )


def chosen_without_mailbox(department: Localised, caught_by: Localised) -> Why:
    return _say(
        "Visitors can choose {department}, whose mailbox is suspended: "
        "{caught_by} receives it instead",
        "访客可选择{department}，但其邮箱已停用，改由{caught_by}收到",
        department=department,
        caught_by=caught_by,
    )


def topic_only_desk(topic: Localised, department: Localised | None) -> Why:
    if department is None:
        return _say(
            "No department answers topic {topic}: only the desk receives it",
            "咨询事项{topic}没有负责部门，只有总台收到",
            topic=topic,
        )
    return _say(
        "Topic {topic} belongs to {department}, which has no live mailbox "
        "and nobody to stand in: only the desk receives it",
        "咨询事项{topic}由{department}负责，但它没有有效邮箱，也无人代理，只有总台收到",
        topic=topic,
        department=department,
    )


def lost(
    *,
    rule: Localised | None = None,
    topic: Localised | None = None,
    department: Localised | None = None,
) -> Why:
    """Nobody receives what comes this way."""
    if rule is not None:
        return _say(
            "What rule {rule} sends on reaches no live mailbox, not even the desk’s",
            "规则{rule}转出的咨询无法送达任何有效邮箱，总台也不例外",
            rule=rule,
        )
    if topic is not None:
        return _say(
            "An enquiry on topic {topic} reaches no live mailbox, not even the desk’s",
            "关于{topic}的咨询无法送达任何有效邮箱，总台也不例外",
            topic=topic,
        )
    return _say(
        "An enquiry for {department} reaches no live mailbox, not even the desk’s",
        "写给{department}的咨询无法送达任何有效邮箱，总台也不例外",
        department=department or {},
    )


def unverified(department: Localised, address: str) -> Why:
    return _say(
        "Enquiries reach {department} at {address}, a mailbox that nobody has verified",
        "写给{department}的咨询送达{address}，但该邮箱未经核实",
        department=department,
        address=plain(address),
    )


def ring(departments: Sequence[Localised], *, live: bool) -> Why:
    if live:
        return _say(
            "{departments} stand in for one another in a circle",
            "{departments}互为代理，形成循环",
            departments=departments,
        )
    return _say(
        "{departments} stand in for one another in a circle, and none has a live mailbox",
        "{departments}互为代理，形成循环，且均无有效邮箱",
        departments=departments,
    )


def unused(rule: Localised, days: int) -> Why:
    return _say(
        f"Rule {{rule}} has decided nothing for {days} days",
        f"规则{{rule}}已有{days}天未处理任何咨询",
        rule=rule,
    )


def often_moved(rule: Localised, decided: int, moved: int) -> Why:
    return _say(
        f"{moved} of the {decided} enquiries that rule {{rule}} sent on "
        "were then moved to somebody else",
        f"规则{{rule}}转出的{decided}份咨询中，有{moved}份后来又被转走",
        rule=rule,
    )
