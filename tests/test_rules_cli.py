"""Rules at the command line: shown, examined, tried, published, taken back, kept as files."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from directory.adapters.db import rule_sets
from directory.adapters.queries import department_by_slug
from directory.domain.contacts import DepartmentStatus
from tests.builders import a_submission, submit

DESK = """
[[rules]]
id = "newspapers"
name = { en = "Newspapers", zh-Hans = "报社" }
when = { all = [{ topic = ["not-sure"] }, { words = { any = ["newspaper", "报社"] } }] }
send_to = "media"

[[rules]]
id = "desk"
name = { en = "Everything else", zh-Hans = "其余咨询" }
send_to = "enquiry-desk"
"""
GATE = """
[[rules]]
id = "gate"
name = { en = "Gate", zh-Hans = "大门" }
when = { words = { any = ["gate", "大门"] } }
send_to = "media"
"""
NEVER = """
[[rules]]
id = "never"
when = { all = [{ words = { any = ["gate"] } }, { topic = ["apply"] }] }
send_to = "parking"
"""
ENGLISH = GATE.replace('["gate", "大门"]', '["gate"], language = "en"')
EXAMPLE = """
[[examples]]
name = "the gate"
enquiry = { topic = "permits", message = "at the gate" }
expect = "parking"
"""


@pytest.fixture
def file(tmp_path):
    """Writes a rule file; gives its path."""

    def write(*parts: str) -> str:
        path = tmp_path / "rules.toml"
        path.write_text("".join(parts), encoding="utf-8")
        return str(path)

    return write


# Shown


def test_a_rule_is_listed_as_a_sentence_with_what_it_did(run, office):
    submit(office, a_submission("not-sure", message="for a newspaper"))

    english, chinese = run("rules", "list").out, run("rules", "list", "--lang", "zh-Hans").out

    assert english.splitlines() == [
        "1. newspapers  Newspapers: If topic is Not sure and text mentions “newspaper” or “报社”, "
        "send to Media  (1 decided, 0 moved on)",
        "2. desk  Everything else: Send everything else to Enquiry Desk  (0 decided, 0 moved on)",
    ]
    assert "则转至Media处  (决定1件，转出0件)" in chinese
    told = run("rules", "list", "--json").json
    assert (told["version"], told["examples"], told["waivers"]) == (1, [], [])
    assert told["usage"][0]["decided"] == 1


def test_one_rule_or_a_whole_version_is_shown_with_who_published_it_and_why(run, file):
    run("rules", "import", file(GATE, DESK))

    whole = run("rules", "show").out
    assert whole.startswith("version 1  ") and "admin@x.example  to begin with" in whole
    assert DESK.strip() in whole
    one = run("rules", "show", "gate", "--draft", "--json").json
    assert (one["state"], one["rule"], [it["id"] for it in one["rules"]]) == ("draft", 1, ["gate"])
    assert one["sentence"]["zh-Hans"].startswith("如果正文提到“gate”")
    assert "草稿" in run("rules", "show", "gate", "--draft", "--lang", "zh-Hans").out
    assert run("rules", "show", "--version", "1").out == whole


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "gone"), 4),
        (("show", "--version", "9"), 4),
        (("list", "--draft"), 4),
        (("list", "--draft", "--published"), 2),
        (("replay", "--draft"), 4),
        (("diff", "published"), 4),
        (("diff", "1", "yesterday"), 4),
        (("rollback", "1"), 2),
        (("rollback", "1", "--reason", "x"), 5),
        (("rollback", "9", "--reason", "x"), 4),
        (("publish",), 2),
        (("publish", "--reason", "x"), 4),
        (("discard",), 5),
        (("discard", "--yes"), 4),
        (("try", "--answer", "nonsense"), 2),
        (("try", "--at", "yesterday"), 2),
        (("check", "none.toml"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_says_so_by_its_exit_code(run, arguments, code):
    done = run("rules", *arguments)

    assert (done.code, done.out) == (code, "")
    assert done.err and "Traceback" not in done.err


# Examined


def test_check_ends_in_one_plain_sentence_in_both_languages(run):
    assert run("rules", "check").out == "Every enquiry reaches a live mailbox\n"
    assert run("rules", "check", "--lang", "zh-Hans").out == "每份咨询都能送达有效邮箱\n"
    told = run("rules", "check", "--json").json
    assert (told["ok"], told["findings"]) == (True, [])
    assert set(told) == {"ok", "summary", "findings"}


def test_check_names_what_is_wrong_what_covers_it_and_an_enquiry_that_shows_it(run, file):
    path = file(GATE, NEVER, DESK)

    done = run("rules", "check", path)
    told = run("rules", "check", path, "--json")

    assert (done.code, told.code) == (1, 1)
    lines = done.out.splitlines()
    at = lines.index("error  rule.unreachable  never")
    assert lines[at + 2] == "  covered by: gate"
    assert lines[at + 3].startswith("  example: ") and "topic=apply" in lines[at + 3]
    finding = next(it for it in told.json["findings"] if it["code"] == "rule.unreachable")
    assert (finding["rule"], finding["covered_by"]) == ("never", ["gate"])
    assert set(finding) == {"code", "severity", "rule", "covered_by", "text", "example"}
    assert "错误  rule.unreachable  never" in run("rules", "check", path, "--lang", "zh-Hans").out


def test_warnings_end_with_one_only_when_asked_and_not_once_they_are_waived(run, file):
    waiver = '[[waivers]]\ncode = "words.one_language"\nrule = "gate"\nreason = "English site"\n'
    path = file(ENGLISH, DESK)
    assert [run("rules", "check", path, *it).code for it in ((), ("--strict",))] == [0, 1]

    path = file(ENGLISH, DESK, waiver)

    assert run("rules", "check", path, "--strict").code == 0
    assert "  waived: English site" in run("rules", "check", path).out


def test_check_is_of_the_draft_if_there_is_one(run, file):
    run("rules", "import", file(GATE, NEVER, DESK))

    done = run("rules", "check")

    assert (done.code, "the draft" in done.err) == (1, True)
    assert run("rules", "check", "--published").code == 0
    assert run("rules", "check", "--version", "1").code == 0


def test_examples_are_held_against_the_rules(run, file):
    path = file(GATE, DESK, EXAMPLE)

    broken = run("rules", "test", path)
    assert (broken.code, broken.out.splitlines()[-1]) == (1, "0 ok, 1 failed")
    assert "FAIL  Example “the gate” should go to “parking”" in broken.out
    chinese = run("rules", "test", path, "--lang", "zh-Hans").out
    assert "应转至“parking”" in chinese and "0条成立，1条不成立" in chinese
    told = run("rules", "test", path, "--json").json
    assert (told["ok"], told["broken"][0]["department"]) == (False, "media")

    # Examples alone are held against what decides.
    held = run("rules", "test", file(EXAMPLE))
    assert (held.code, held.out) == (0, "ok    the gate → parking\n1 ok, 0 failed\n")
    assert run("rules", "test").out == "0 ok, 0 failed\n"


# Tried


def test_with_a_draft_an_enquiry_is_tried_on_both_side_by_side(run, file):
    run("rules", "import", file(GATE, DESK))
    asked = ("rules", "try", "--topic", "permits", "--message", "at the gate")

    assert run(*asked).out.splitlines() == [
        "published (version 1)",
        "· 1. Newspapers: topic is not Not sure",
        "✓ the topic’s department: topic is Permits",
        "→ parking (topic)",
        "",
        "draft",
        "✓ 1. Gate: mentions “gate”",
        "→ media (rule 1)",
    ]
    chinese = run(*asked, "--lang", "zh-Hans").out
    assert "→ media (第1条规则)" in chinese and "已发布 (第1版)" in chinese
    told = run(*asked, "--json").json
    assert told["destination"]["department"] == "parking"
    assert told["draft"]["destination"] == {
        "department": "media",
        "name": {"en": "Media", "zh-Hans": "Media处"},
        "reason": "rule",
        "rule": 1,
    }
    assert run(*asked, "--published", "--json").json["draft"] is None


def test_everything_a_rule_may_ask_can_be_said_of_the_enquiry(run, file):
    asks = """
[[rules]]
id = "all"
when = { all = [{ country = ["SG"] }, { reply_language = ["en"] }, { source = ["/visit"] },
 { origin = ["https://x.example"] }, { answer = { kind = "group" } }, { returning = true },
 { open = "enquiry-desk" }, { words = { any = ["tour"] } }] }
send_to = "media"
""".replace(",\n", ", ")
    run("rules", "import", file(asks, DESK))
    said = {
        "--country": "sg",
        "--reply-language": "en",
        "--from": "https://x.example/visit/map",
        "--answer": "kind=group",
        "--at": "2026-11-23T12:00:00+08:00",
        "--subject": "A tour",
    }
    asked = [it for pair in said.items() for it in pair]

    def where(*more: str) -> str:
        return run("rules", "try", *asked, *more, "--json").json["draft"]["destination"][
            "department"
        ]

    assert where("--returning") == "media"
    assert where("--first-time") == where() == "enquiry-desk"
    at_night = ("--at", "2026-11-23T23:00:00+08:00")
    assert where("--returning", *at_night) == "enquiry-desk"


def test_an_enquiry_that_was_tried_can_be_kept_as_an_example(run, file):
    run("rules", "import", file(GATE, DESK))

    kept = run("rules", "try", "--message", "the gate", "--keep", "a gate")

    assert kept.code == 0 and "kept “a gate” → media" in kept.err
    assert run("rules", "test").out == "ok    a gate → media\n1 ok, 0 failed\n"
    assert 'enquiry = { message = "the gate"' in run("rules", "export", "--draft").out


def test_replay_tells_what_would_move_and_by_which_rules(run, office, file):
    ref = submit(office, a_submission("permits", message="May I park at the gate?")).ref
    run("rules", "import", file(GATE.replace('"media"', '"media"\nhold = true'), DESK))

    done = run("rules", "replay")
    told = run("rules", "replay", "-n", "5", "--json").json

    assert done.out.splitlines() == [
        f"ENQ-{ref[:4]}-{ref[4:]}  permits  parking (topic) → media (rule 1 gate)  "
        "[department, outcome]  - → hold=True",
        "replayed 1, moved 1",
    ]
    assert (told["replayed"], told["moved"], told["elsewhere"]) == (1, 1, 1)
    assert told["by_rule"] == [{"old": None, "new": "gate", "moved": 1}]
    assert told["items"][0]["new"]["outcome"] == {"hold": True}
    assert "重放1件，变动1件" in run("rules", "replay", "--lang", "zh-Hans").out
    assert run("rules", "replay", "--version", "1").out == "replayed 1, moved 0\n"
    run("rules", "discard", "--yes")
    alone = run("rules", "replay")
    assert (alone.out, "there is no draft" in alone.err) == ("replayed 1, moved 0\n", True)
    assert run("rules", "diff").out == "= nothing differs\n"


# Changed


def test_a_file_becomes_the_draft_and_the_draft_a_version(run, file, office):
    path = file(GATE, DESK)

    taken = run("rules", "import", path, "--as", "wei@x.example", "--reason", "from Media")
    assert (taken.code, taken.out) == (0, "+ rule gate  - → 1\n")
    assert run("rules", "diff").out == taken.out
    again = run("rules", "import", path)
    assert (again.code, "--yes" in again.err) == (5, True)
    assert "+1" in run("rules", "draft", "--list").out

    done = run("rules", "publish", "--reason", "Media asked", "--as", "wei@x.example")

    assert (done.code, done.out) == (0, "published version 2\n")
    versions = run("rules", "versions").out.splitlines()
    assert versions[0].endswith("published  wei@x.example  Media asked")
    assert "past" in versions[1]
    assert [it["state"] for it in run("rules", "versions", "--json").json["items"]] == [
        "published",
        "past",
    ]
    assert run("rules", "diff", "1", "2").out == taken.out
    last = run("rules", "diff")
    assert (last.out, "there is no draft" in last.err) == (taken.out, True)
    assert run("rules", "draft", "--list").out == ""


def test_what_was_exported_changes_nothing_when_it_comes_back(run, file, tmp_path):
    waivers = '[[waivers]]\ncode = "words.one_language"\nrule = "gate"\nreason = "so"\n'
    example = EXAMPLE.replace('"parking"', '"media"')
    run("rules", "import", file(ENGLISH, DESK, example, waivers))
    assert run("rules", "publish", "--reason", "x").code == 0
    out = tmp_path / "out.toml"

    assert run("rules", "export", "-o", str(out)).code == 0
    taken = run("rules", "import", str(out))
    directory = run("import", str(out), "--dry-run")

    assert taken.out == "= nothing differs\n"
    assert directory.out.endswith("0 added, 0 changed, 1 same, 0 errors\n")
    assert out.read_text() == run("rules", "export", "--draft").out
    assert out.read_text() == run("export", "rules").out
    assert {"[[examples]]", "[[waivers]]"} <= set(out.read_text().splitlines())
    assert run("rules", "export", "-o", str(out)).code == 5
    assert run("export", "rules", "--format", "json").json["examples"][0]["name"] == "the gate"


def test_a_refusal_shows_the_findings_and_ends_with_five(run, file):
    run(
        "rules",
        "import",
        file(GATE, NEVER, ENGLISH.replace('"gate"\nname', '"g2"\nname'), DESK, EXAMPLE),
    )

    done = run("rules", "publish", "--reason", "x")
    told = run("rules", "publish", "--reason", "x", "--json")

    assert (done.code, told.code) == (5, 5)
    assert "error  rule.unreachable  never" in done.out
    assert "should go to “parking”" in done.out
    assert done.err.startswith("directory: These rules cannot be published\n")
    assert told.json["ok"] is False
    assert {it["code"] for it in told.json["findings"]} >= {"rule.unreachable"}
    assert [it["example"]["name"] for it in told.json["examples"]] == ["the gate"]
    assert "规则不能发布" in run("rules", "publish", "--reason", "x", "--lang", "zh-Hans").err
    assert run("rules", "versions").out.count("version") == 1


def test_warnings_are_waived_and_examples_released_by_name(run, file):
    run("rules", "import", file(ENGLISH, DESK, EXAMPLE))
    publish = ("rules", "publish", "--reason", "x")
    assert run(*publish, "--waive", "words.one_language:gate").code == 2
    assert run(*publish, "--waive", "words.one_language=no rule named").code == 4
    assert run(*publish, "--waive", "rule.unused:*=none of these").code == 4

    waived = ("--waive", "words.one_language:*=the English site alone")
    assert run(*publish, *waived).code == 5
    done = run(*publish, *waived, "--release", "the gate=Media does it")

    assert done.out == "published version 2\n"
    written = run("rules", "export").out
    assert 'rule = "gate"\nreason = "the English site alone"' in written
    assert "[[examples]]" not in written


def test_a_dry_run_publishes_nothing_and_says_what_would_be_refused(run, file, office):
    run("rules", "import", file(GATE, DESK))

    assert run("rules", "publish", "--reason", "x", "--dry-run").code == 0
    with office.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(rule_sets)) == 1
    assert run("rules", "import", file(DESK), "--yes", "--dry-run").code == 0
    assert run("rules", "diff").out.startswith("+ rule gate")


def test_rules_that_begin_later_say_when_and_what_they_overtake(run, file):
    run("rules", "import", file(GATE, DESK))
    for wrong in ("tomorrow", "2026-12-01T00:00:00"):
        assert run("rules", "publish", "--reason", "x", "--effective-from", wrong).code == 2
    assert (
        run("rules", "publish", "--reason", "x", "--effective-from", "2020-01-01T00:00Z").code == 2
    )

    later = run("rules", "publish", "--reason", "x", "--effective-from", "2999-01-01T00:00:00Z")
    run("rules", "draft")
    run("rules", "import", file(DESK), "--yes")
    now = run("rules", "publish", "--reason", "after all")

    assert "version 2, which decides from 2999-01-01T00:00:00" in later.out
    assert (now.out, "version 2 was still to begin" in now.err) == ("published version 3\n", True)
    assert "superseded" in run("rules", "versions").out.splitlines()[1]


def test_a_draft_that_another_overtook_takes_in_what_was_published_and_follows(run, file):
    run("rules", "import", file(GATE, DESK))
    run("rules", "import", file(DESK.replace('["newspaper"', '["magazine"')), "--name", "other")
    assert run("rules", "publish", "--reason", "x", "--name", "other").code == 0

    refused = run("rules", "publish", "--reason", "y")
    taken = run("rules", "rebase")

    assert (refused.code, "rules rebase" in refused.err) == (5, True)
    assert taken.code == 0 and taken.out.startswith("~ rule newspapers\n    when: ")
    assert run("rules", "publish", "--reason", "y").out == "published version 3\n"
    ids = [it["id"] for it in run("rules", "list", "--json").json["rules"]]
    assert ids == ["gate", "newspapers", "desk"]


def test_a_draft_is_thrown_away_only_when_that_is_said(run, file):
    run("rules", "import", file(GATE, DESK), "--name", "summer")

    assert run("rules", "discard", "--name", "summer", "--yes").out == "discarded summer\n"
    assert run("rules", "list", "--name", "summer").code == 4


# After an upgrade


def test_an_upgrade_warns_where_an_example_no_longer_holds(run, file, office):
    run("rules", "import", file(DESK, EXAMPLE))
    assert run("rules", "publish", "--reason", "x").code == 0
    assert run("db", "upgrade").code == 0
    with office.db.writing() as session:
        department_by_slug(session, "parking").status = DepartmentStatus.CLOSED

    done = run("db", "upgrade")

    assert done.code == 1
    assert "warning: Example “the gate” should go to “parking”" in done.err
    assert "应转至" in run("db", "upgrade", "--lang", "zh-Hans").err


def test_an_upgrade_says_when_the_rules_ask_what_nobody_understands_any_more(run, office):
    with office.db.writing() as session:
        session.execute(
            sa.update(rule_sets).values(
                rules=[
                    {"id": "moon", "when": {"moon": "full"}, "send_to": "media"},
                    {"id": "desk", "send_to": "enquiry-desk"},
                ]
            )
        )

    done = run("db", "upgrade")

    assert done.code == 1 and "there is no condition “moon”" in done.err


def test_a_file_with_no_rules_is_refused_before_anything_is_touched(run, file):
    for content in ("", "[[rules]\n", "[[topics]]\ncode = 'x'\n", DESK + DESK):
        refused = run("rules", "import", file(content))
        assert (refused.code, refused.out) == (2, "")
    assert run("rules", "draft", "--list").out == ""
