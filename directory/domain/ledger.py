"""Where every enquiry stands, so that none stands nowhere.

received = answered + waiting + retrying + held + needing attention + closed. An enquiry that fits
none of these is one nobody works at and nobody looks at: exactly what must not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Account(StrEnum):
    """Where an enquiry is counted; the SQL that tells is in :mod:`directory.adapters.ledger`.

    ``WAITING`` is with a department, whose answer is awaited; ``RETRYING`` has mail under way to
    one. One that needs attention counts as nothing else, except that a held one, whose reason
    stands in the same place, is held. ``TEST`` is counted nowhere, ``NOWHERE`` must stay empty.
    """

    ANSWERED = "answered"
    WAITING = "waiting"
    RETRYING = "retrying"
    HELD = "held"
    ATTENTION = "attention"
    CLOSED = "closed"
    NOWHERE = "nowhere"
    TEST = "test"


RECEIVED = "received"
"""The name under which all that ever came in are counted."""

ACCOUNTS = (
    Account.ANSWERED,
    Account.WAITING,
    Account.RETRYING,
    Account.HELD,
    Account.ATTENTION,
    Account.CLOSED,
)
"""What adds up to all that was received."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """How many were received, and how many stand in each account."""

    received: int = 0
    accounts: Mapping[Account, int] = field(default_factory=dict)

    def __getitem__(self, account: Account) -> int:
        return self.accounts.get(account, 0)

    @property
    def accounted(self) -> int:
        """How many stand somewhere."""
        return sum(self[account] for account in ACCOUNTS)

    @property
    def missing(self) -> int:
        """How many were received and stand nowhere; less than 0 where some stand twice."""
        return self.received - self.accounted

    @property
    def balances(self) -> bool:
        return self.missing == 0 and not self[Account.NOWHERE]

    def differences(self, other: Ledger) -> dict[str, tuple[int, int]]:
        """Where the two disagree: each by its name, what this says and what *other* says."""
        found = {
            str(account): (self[account], other[account])
            for account in (*ACCOUNTS, Account.NOWHERE)
            if self[account] != other[account]
        }
        if self.received != other.received:
            found[RECEIVED] = (self.received, other.received)
        return found

    def __str__(self) -> str:
        told = " + ".join(f"{self[account]} {account}" for account in ACCOUNTS)
        sign = "=" if self.balances else "≠"
        return f"{self.received} received {sign} {told}"
