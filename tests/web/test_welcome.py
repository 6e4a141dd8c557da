"""Who writes from a Chinese mailbox, or without a Latin letter, is as welcome as anybody."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from directory.adapters.db import deliveries, enquiries
from directory.domain.delivery import DeliveryKind
from directory.parts import Parts
from directory.services.suggestions import suggest_topics
from tests.web.conftest import client_of
from tests.web.pages import Page, send

HOSTS = ("qq.com", "163.com", "126.com", "sina.cn")
TEXTS = (
    "请问周五能在北门停车吗",
    "你好，我想咨询一下入学申请的材料清单，谢谢！",
    "急！急！急！１２３４５６号车牌无法入校，联系微信：ｗｘ１２３",
    "一" * 5_000,
)


def kept(parts: Parts) -> list[tuple[str, str]]:
    with parts.db.reading() as session:
        wanted = sa.select(enquiries.c.status, enquiries.c.attention)
        return [(row.status.value, row.attention) for row in session.execute(wanted)]


def mailed(parts: Parts, kind: DeliveryKind) -> set[str]:
    with parts.db.reading() as session:
        wanted = sa.select(deliveries.c.recipient).where(deliveries.c.kind == kind)
        return set(session.scalars(wanted))


def written(host: str, number: int = 0) -> str:
    """An address as such hosts give them: a number, mostly."""
    return f"1234567{number:03}@{host}"


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("lang", ["en", "zh-hans"])
def test_a_mailbox_at_a_chinese_host_is_taken_mailed_and_not_held(office, host, lang):
    response = send(
        client_of(office), lang, email=written(host), name="李伟", message=TEXTS[0], subject=""
    )

    assert response.status_code == 303
    assert kept(office) == [("received", "")]
    assert mailed(office, DeliveryKind.ROUTED) == {"parking@institute.example"}
    assert mailed(office, DeliveryKind.ACKNOWLEDGEMENT) == {written(host)}


@pytest.mark.parametrize("text", TEXTS, ids=["no space", "polite", "full width", "long"])
@pytest.mark.parametrize("topic", ["permits", "not-sure"])
def test_text_without_a_space_or_a_latin_letter_is_held_by_nothing(office, text, topic):
    fields = {"name": "欧阳娜娜", "organisation": "南京大学", "subject": "咨询"}

    response = send(
        client_of(office), "zh-hans", topic=topic, message=text, email=written("qq.com"), **fields
    )

    assert response.status_code == 303
    assert kept(office) == [("received", "")]
    assert len(mailed(office, DeliveryKind.ROUTED)) == 1
    assert mailed(office, DeliveryKind.ACKNOWLEDGEMENT) == {written("qq.com")}


def test_no_limit_counts_a_whole_mail_host(office):
    for number in range(40):
        client = client_of(office)
        client.environ_base["REMOTE_ADDR"] = f"10.1.{number}.7"
        assert send(client, email=written("163.com", number)).status_code == 303

    assert kept(office) == [("received", "")] * 40
    assert len(mailed(office, DeliveryKind.ACKNOWLEDGEMENT)) == 40


@pytest.mark.parametrize("host", HOSTS)
def test_a_reader_there_can_be_written_to_again(office, host):
    """Lost links and corrections ask for an address as well."""
    client = client_of(office)
    where = send(client, email=f"typo@{host}").location.partition("?")[0]
    form = Page(client.get(where, query_string={"do": "email"})).one('form[data-act="email"]')
    nonce = form.css_first('[name="nonce"]').attributes["value"]

    response = client.post(
        str(form.attributes["action"]), data={"nonce": nonce, "email": written(host)}
    )

    assert response.status_code == 303
    assert written(host) in mailed(office, DeliveryKind.ACKNOWLEDGEMENT)


def test_suggestions_ask_for_no_latin_letter(office):
    with office.db.reading() as session:
        published = office.published(session, office.now())

    for text in TEXTS:
        assert len(suggest_topics(published, text).topics) <= 3
