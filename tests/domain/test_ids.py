"""Ids that are made at once by many, and many by one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from directory.domain.ids import id_after, new_id
from tests.builders import MONDAY_NOON


def test_an_import_of_thousands_at_one_instant_makes_no_id_twice() -> None:
    made = [new_id(MONDAY_NOON) for _ in range(20_000)]

    assert len(set(made)) == len(made)
    assert made == sorted(made)


def test_threads_that_make_ids_together_make_none_twice() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: new_id(MONDAY_NOON), range(5_000)))

    assert len(set(made)) == len(made)


def test_a_later_instant_has_a_greater_id_and_fits_a_column() -> None:
    later = MONDAY_NOON + timedelta(milliseconds=1)

    assert new_id(MONDAY_NOON) < new_id(later) < 2**63
    assert new_id(MONDAY_NOON.replace(year=1999)) >= 0


def test_an_id_after_another_is_greater_also_when_the_clock_went_back() -> None:
    ahead = new_id(MONDAY_NOON + timedelta(days=2))
    others = {ahead + n for n in range(2_000)}

    made = [id_after(ahead, MONDAY_NOON) for _ in range(100)]

    assert min(made) > ahead
    assert not others & set(made)
