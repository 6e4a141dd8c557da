"""A directory of any size, invented: for what must hold, and stay fast, for many departments."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.adapters.db import contact_points, departments, topics
from directory.domain.contacts import DepartmentStatus, PointKind, PointState

_SINCE = datetime(2026, 1, 1, tzinfo=UTC)
_CHUNK = 1_000

# Pairs that mean about the same, so that a name is a name in both languages.
PLACES = {
    "Nanjing": "南京", "Suzhou": "苏州", "Wuxi": "无锡", "Changzhou": "常州", "Yangzhou": "扬州",
    "Shanghai": "上海", "Beijing": "北京", "Chongqing": "重庆", "Xi'an": "西安", "Wuhan": "武汉",
    "London": "伦敦", "Singapore": "新加坡", "Berlin": "柏林", "Boston": "波士顿",
    "Toronto": "多伦多", "Riverside": "河西", "Hilltop": "山顶",
    "North Campus": "北校区", "South Campus": "南校区",
    "Central": "中央", "Lakeside": "湖滨", "Harbour": "港口", "Gulou": "鼓楼", "Xianlin": "仙林",
}  # fmt: skip
SUBJECTS = {
    "Admissions": "招生", "International Cooperation": "国际合作", "Finance": "财务",
    "Human Resources": "人力资源", "Library": "图书", "Media": "新闻宣传", "Legal": "法务",
    "Technology Transfer": "技术转移", "Visa": "签证", "Housing": "住房", "Health": "卫生健康",
    "Mathematics": "数学", "Physics": "物理", "Chemistry": "化学", "Biology": "生物",
    "Marine Engineering": "海洋工程", "Materials Science": "材料科学", "Robotics": "机器人",
    "Archives": "档案", "Procurement": "采购", "Security": "保卫", "Energy": "能源",
    "Data Protection": "数据保护", "Student Affairs": "学生事务", "Alumni": "校友",
    "Parking": "停车", "Catering": "餐饮", "Sports": "体育", "Music": "音乐", "Translation": "翻译",
}  # fmt: skip
UNITS = {
    "Office": "办公室", "Department": "部", "Centre": "中心", "Institute": "研究所",
    "Division": "处", "Laboratory": "实验室", "Section": "科", "Service": "服务站",
    "School": "学院", "Bureau": "局",
}  # fmt: skip
SYLLABLES = (
    "ba",
    "ker",
    "do",
    "lin",
    "mar",
    "ter",
    "vo",
    "san",
    "pel",
    "nu",
    "ri",
    "fe",
    "gon",
    "ast",
)


def invent(session: Session, count: int, *, seed: int = 1) -> list[UUID]:
    """Add *count* departments with points, and a few topics; their ids.

    Written as rows, a thousand at a time: what indexes them is the caller's to call.
    """
    random_ = random.Random(seed)
    ids: list[UUID] = []
    for start in range(0, count, _CHUNK):
        made = [_department(random_, n) for n in range(start, min(start + _CHUNK, count))]
        session.execute(sa.insert(departments), made)
        session.execute(
            sa.insert(contact_points), [p for row in made for p in _points(random_, row)]
        )
        ids += [row["id"] for row in made]
    labels = [(en, zh) for en, zh in SUBJECTS.items() if len(en) > 6]
    session.execute(
        sa.insert(topics),
        [_topic(random_, n, en, zh, random_.choice(ids)) for n, (en, zh) in enumerate(labels)],
    )
    return ids


def queries(seed: int = 1) -> Iterator[str]:
    """What people type, without end: whole names, beginnings, sounds, slips, numbers, rubbish."""
    random_ = random.Random(seed)
    while True:
        place, subject, unit = (_pick(random_, of) for of in (PLACES, SUBJECTS, UNITS))
        en = f"{place[0]} {subject[0]} {unit[0]}"
        zh = place[1] + subject[1] + unit[1]
        word = random_.choice(en.split())
        start = random_.randrange(len(zh))
        yield random_.choice(
            [
                en,
                zh,
                word,
                word[: random_.randint(1, 5)],
                zh[start : start + random_.randint(1, 4)],
                f"{word[: random_.randint(2, 6)]} {random_.choice(en.split())}",
                _with_slip(random_, word),
                _with_slip(random_, zh),
                f"Building {random_.choice('ABCDE')}",
                f"Room {random_.randint(100, 999)}",
                f"{random_.randint(1, 99)}",
                f"025 8{random_.randrange(10**7):07d}",
                random_.choice(_RUBBISH),
                "".join(random_.choice(SYLLABLES) for _ in range(3)),
            ]
        )


_RUBBISH = (
    'NEAR(a b, 5) OR "', "office*", "a & b | !c <-> d:*", "%_%", "' ; DROP TABLE topic; --",
    "\0", "😀👨‍👩‍👧", "e\u0301", "的", "x" * 300, "a b c d e f g h i j k l m n o p", "招" * 200,
    "-- ^ ( )",
)  # fmt: skip


def _pick(random_: random.Random, of: dict[str, str]) -> tuple[str, str]:
    return random_.choice(list(of.items()))


def _with_slip(random_: random.Random, word: str) -> str:
    place = random_.randrange(len(word))
    return word[:place] + random_.choice(["", "x", "山"]) + word[place + 1 :]


def _department(random_: random.Random, number: int) -> dict[str, Any]:
    place, subject, unit = (_pick(random_, of) for of in (PLACES, SUBJECTS, UNITS))
    proper = "".join(random_.choice(SYLLABLES) for _ in range(random_.randint(2, 4))).capitalize()
    return {
        "id": UUID(int=random_.getrandbits(128), version=4),
        "slug": f"{proper.lower()}-{number}",
        "status": DepartmentStatus.ACTIVE,
        "name": {
            "en": f"{place[0]} {proper} {subject[0]} {unit[0]}",
            "zh-Hans": f"{place[1]}{subject[1]}{_numeral(number % 97)}{unit[1]}",
        },
        "short_name": {},
        "other_names": [f"{proper} Desk"] if random_.random() < 0.1 else [],
        "summary": {},
        "not_here": {},
        "hours": "",
        "exceptions": [],
        "timezone": "",
        "languages": ["en", "zh-Hans"],
        "backup_email": "",
        "owner_email": "",
        "notes": "",
        "position": number,
        "version": 1,
        "created_at": _SINCE,
        "updated_at": _SINCE,
    }


def _numeral(number: int) -> str:
    return "".join("零一二三四五六七八九"[int(digit)] for digit in str(number))


def _points(random_: random.Random, department: dict[str, Any]) -> Iterator[dict[str, Any]]:
    def point(kind: PointKind, position: int, **values: Any) -> dict[str, Any]:
        return {
            "id": UUID(int=random_.getrandbits(128), version=4),
            "department_id": department["id"],
            "kind": kind,
            "value": "",
            "extension": "",
            "typed": "",
            "address": {},
            "label": {},
            "languages": [],
            "note": {},
            "public": True,
            "routing": False,
            "position": position,
            "state": PointState.VERIFIED,
            "verified_by": "",
            "verified_how": "",
            **values,
        }

    yield point(PointKind.VOICE, 1, value=f"+86258{random_.randrange(10**7):07d}")
    yield point(PointKind.FAX, 2, value=f"+86258{random_.randrange(10**7):07d}")
    yield point(PointKind.EMAIL, 3, value=f"{department['slug']}@institute.example")
    block, room = random_.choice("ABCDE"), random_.randint(100, 999)
    lines = {
        "en": [f"Room {room}, Building {block}", f"No. {random_.randint(1, 999)} Xuanwu Avenue"],
        "zh-Hans": [f"玄武大道{random_.randint(1, 999)}号", f"{block}座{room}室"],
    }
    locality = {"en": "Nanjing", "zh-Hans": "南京市"}
    address = {"lines": lines, "locality": locality, "country": "CN"}
    yield point(PointKind.PHYSICAL, 4, address=address)


def _topic(
    random_: random.Random, number: int, en: str, zh: str, department_id: UUID
) -> dict[str, Any]:
    return {
        "id": UUID(int=random_.getrandbits(128), version=4),
        "code": f"topic-{number}",
        "label": {"en": en, "zh-Hans": zh},
        "hint": {"en": f"Questions of {en.lower()}", "zh-Hans": f"{zh}咨询"},
        "group": {},
        "department_id": department_id,
        "acknowledge": True,
        "sensitive": False,
        "active": True,
        "position": number,
        "version": 1,
    }
