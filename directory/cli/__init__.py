"""The same use-cases for people at a terminal.

Data go to standard output, talk to standard error. Exit codes: 0 done, 1 done but with findings
or failures, 2 usage, 3 configuration, 4 not found, 5 refused, 6 an outside service unreachable,
130 interrupted.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

# Each adds its commands to the one group.
from directory.cli import (  # noqa: F401
    departments,
    enquiries,
    files,
    inbound,
    installation,
    mail,
    operating,
    privacy,
    rule_changes,
    rules,
    running,
    trust,
    values,
)
from directory.cli.base import EXIT_INTERRUPTED, EXIT_USAGE, Talk, cli, refuse
from directory.domain.errors import DirectoryError


def main() -> NoReturn:
    """The command line's entry."""
    try:
        code = cli.main(standalone_mode=False, prog_name="directory")
    except click.exceptions.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except DirectoryError as error:
        refuse(error, Talk())
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)
