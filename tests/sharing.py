"""How a run of several processes (``-n``) shares out the tests, and what it begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

# Usually a file stays together: its tests may share a browser, a demo, a thousand departments.
# In these each test makes its own, and waits a lot.
TEST_BY_TEST = ("tests/faults/",)

# In one piece and long: begun early, so that none is left for the end, when the other processes
# have nothing more to do.
LONG = ("tests/test_environment.py", "tests/browser/")


class Shares(LoadScopeScheduling):
    """Hands each process the next file, or the next test where files need not stay together."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # as in_order() has it, not by number of tests

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(TEST_BY_TEST) else nodeid.partition("::")[0]

    def remove_node(self, node: WorkerController) -> str | None:
        """Hand on what *node* left; the test that took its process along, which is returned, ends.

        xdist would try that one again, and lose the next process, until it gives up on the run.
        """
        units = self.assigned_work.pop(node)
        left = [test for unit in units.values() for test, done in unit.items() if not done]
        if not left:
            return None
        for scope, unit in units.items():
            if left[0] in unit:
                unit[left[0]] = True
            if not all(unit.values()):
                self.workqueue[scope] = unit
        for other in self.nodes:
            self._reschedule(other)
        return left[0]


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """*items*, what takes long in one piece first, what can be dealt out evenly last."""

    def rank(item: pytest.Item) -> int:
        if item.get_closest_marker("timeout"):  # takes longer than a test usually may
            return 0
        if item.nodeid.startswith(LONG):
            return 1
        return 3 if item.nodeid.startswith(TEST_BY_TEST) else 2

    return sorted(items, key=rank)
