"""``python3 -m directory``: from a checkout, makes the environment first; then the command line.

Only what every Python since 2.7 can parse, so that an old one says one clear sentence. What
follows that sentence is in ``environment.py``, on the standard library alone.
"""

import os
import sys

NEEDED = (3, 11)


def main():
    # type: () -> int
    if sys.version_info < NEEDED:
        sys.stderr.write(
            "Contact Directory needs Python {0}.{1} or newer, and this is Python {2}.{3}.\n".format(
                *(NEEDED + tuple(sys.version_info[:2]))
            )
        )
        return 3
    if os.name != "posix":
        sys.stderr.write("Contact Directory runs on Linux, macOS and other POSIX systems only.\n")
        return 3
    if not __package__:  # python3 path/to/directory: the folder itself is on the path, not ours
        sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from directory.environment import start

    return start(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
