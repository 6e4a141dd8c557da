"""Every enquiry stands in one account, the books say which, and what stands nowhere is seen."""

from __future__ import annotations

import threading

import sqlalchemy as sa

from directory.adapters import ledger
from directory.adapters.db import Database, deliveries, enquiries, ledger_moves
from directory.adapters.mail import NullTransport
from directory.adapters.queries import deliveries_of
from directory.domain.delivery import Delivery, DeliveryKind
from directory.domain.enquiry import Enquiry, EnquiryStatus
from directory.domain.ledger import Account, Ledger
from directory.parts import Parts
from directory.worker import Worker
from tests.builders import a_submission, submit


def books(parts: Parts) -> Ledger:
    with parts.db.reading() as session:
        return ledger.read(session)


def counted(parts: Parts) -> Ledger:
    with parts.db.reading() as session:
        return ledger.count_anew(session)


def set_status(parts: Parts, enquiry: Enquiry, status: EnquiryStatus) -> None:
    with parts.db.writing() as session:
        session.get_one(Enquiry, enquiry.id).status = status


def routed(parts: Parts, enquiry: Enquiry) -> Delivery:
    with parts.db.reading() as session:
        return next(d for d in deliveries_of(session, enquiry) if d.kind is DeliveryKind.ROUTED)


def test_the_ledger_follows_an_enquiry_from_account_to_account(office: Parts) -> None:
    enquiry = submit(office)
    assert books(office) == Ledger(1, {Account.RETRYING: 1})

    Worker(office, NullTransport()).run_once()
    assert books(office) == Ledger(1, {Account.WAITING: 1})

    for status, account in (
        (EnquiryStatus.TAKEN, Account.WAITING),
        (EnquiryStatus.ANSWERED, Account.ANSWERED),
        (EnquiryStatus.CLOSED, Account.CLOSED),
        (EnquiryStatus.WITHDRAWN, Account.CLOSED),
    ):
        set_status(office, enquiry, status)
        assert books(office) == counted(office) == Ledger(1, {account: 1}), status
        assert books(office).balances


def test_mail_under_way_again_counts_as_retrying_until_it_is_accepted(office: Parts) -> None:
    enquiry = submit(office)
    Worker(office, NullTransport()).run_once()
    with office.db.writing() as session:
        session.get_one(Delivery, routed(office, enquiry).id).retried(office.now())

    assert books(office) == counted(office) == Ledger(1, {Account.RETRYING: 1})

    # The status says "routed" since the first time: nothing but the mail tells.
    Worker(office, NullTransport()).run_once()
    assert books(office) == counted(office) == Ledger(1, {Account.WAITING: 1})


def test_a_flag_outweighs_the_status_and_a_held_one_is_held(office: Parts) -> None:
    flagged = submit(office)
    with office.db.writing() as session:
        session.get_one(Enquiry, flagged.id).needs_attention("undeliverable")
    submit(office, a_submission(form_token="another-form"), held="looks like spam")

    assert books(office) == counted(office)
    assert books(office) == Ledger(2, {Account.ATTENTION: 1, Account.HELD: 1})


def test_a_test_is_in_no_account(office: Parts) -> None:
    enquiry = submit(office, test=True)
    Worker(office, NullTransport()).run_once()
    set_status(office, enquiry, EnquiryStatus.ANSWERED)

    assert books(office) == counted(office) == Ledger()


def test_an_enquiry_whose_mail_is_gone_stands_nowhere_and_the_ledger_says_so(
    office: Parts,
) -> None:
    enquiry = submit(office)
    with office.db.writing() as session:
        session.get_one(Delivery, routed(office, enquiry).id).cancelled(office.now(), "by mistake")

    assert books(office).missing == 1
    assert not books(office).balances
    with office.db.reading() as session:
        assert ledger.nowhere(session) == [enquiry.ref]


def test_nothing_is_counted_of_what_is_rolled_back(office: Parts) -> None:
    class SecondThoughts(Exception):
        pass

    enquiry = submit(office)
    try:
        with office.db.writing() as session:
            session.get_one(Enquiry, enquiry.id).status = EnquiryStatus.ANSWERED
            session.flush()
            raise SecondThoughts
    except SecondThoughts:
        pass

    assert books(office) == counted(office) == Ledger(1, {Account.RETRYING: 1})


def test_adding_up_changes_no_sum_also_when_several_do_it_at_once(office: Parts) -> None:
    for number in range(6):
        submit(office, a_submission(form_token=f"form-{number}"))
    Worker(office, NullTransport()).run_once()
    before = books(office)

    def add_up() -> None:
        for number in range(3):
            with office.db.writing() as session:
                ledger.fold(session)
            submit(office, a_submission(form_token=f"{threading.get_ident()}-{number}"))

    threads = [threading.Thread(target=add_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with office.db.writing() as session:
        ledger.fold(session)

    assert before == Ledger(6, {Account.WAITING: 6})
    assert books(office) == counted(office)
    assert books(office) == Ledger(15, {Account.WAITING: 6, Account.RETRYING: 9})
    with office.db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ledger_moves)) == 0


def test_what_the_release_before_added_is_taken_into_the_books(office: Parts) -> None:
    enquiry = submit(office)
    with office.db.writing() as session:
        # It knows no account, and writes none of these rows.
        session.execute(sa.delete(ledger_moves))
        session.execute(sa.update(enquiries).values(account=""))
    assert books(office).differences(counted(office)) == {"received": (0, 1), "retrying": (0, 1)}

    with office.db.writing() as session:
        assert ledger.take_in(session) == 1

    assert books(office) == counted(office)
    with office.db.writing() as session:
        assert ledger.take_in(session) == 0
        assert session.get_one(Enquiry, enquiry.id).account == Account.RETRYING


def test_books_that_went_wrong_are_found_by_counting_anew_and_can_be_set_right(
    office: Parts,
) -> None:
    submit(office)
    with office.db.writing() as session:
        # Past every book-keeper, as a hand in the database does it.
        session.execute(sa.update(deliveries).values(state="accepted"))
    assert books(office).differences(counted(office)) == {"retrying": (1, 0), "waiting": (0, 1)}

    with office.db.writing() as session:
        ledger.set_right(session)

    assert books(office) == counted(office) == Ledger(1, {Account.WAITING: 1})


def test_the_books_are_read_without_looking_at_an_enquiry(db: Database) -> None:
    asked: list[str] = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    with db.reading() as session:
        ledger.read(session)

    assert asked and not any("enquiry" in statement for statement in asked)


def test_the_ledger_is_told_in_one_line() -> None:
    even = Ledger(3, {Account.ANSWERED: 1, Account.WAITING: 2})
    odd = Ledger(3, {Account.ANSWERED: 1, Account.WAITING: 1})

    assert str(even) == (
        "3 received = 1 answered + 2 waiting + 0 retrying + 0 held + 0 attention + 0 closed"
    )
    assert " ≠ " in str(odd) and odd.missing == 1
