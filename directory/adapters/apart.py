"""Work done in a process that ends with it, so that what it loaded does not stay."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def apart(work: Callable[[], None]) -> None:
    """Run *work* in a child of this process and wait for it.

    Connections must be closed before, and *work* closes its own. Raises RuntimeError when it
    fails, which has then been said on standard error.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"failed with {os.waitstatus_to_exitcode(status)}")
