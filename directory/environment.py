"""Makes the environment a checkout runs in: ``.venv`` with every pin of ``requirements.txt``.

Standard library alone, for it runs before anything is installed. An installed package has its
environment already, and comes through here without stopping.

A checkout is ready when ``.venv`` holds a note of exactly what it was made from; comparing the
two is all that a second start costs. An install that was cut short left no such note and is made
again from nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

NAME = "contact-directory"
ROOT = Path(__file__).resolve().parent.parent
READY = f"{NAME}.ready"
UNFINISHED = f"{NAME}.unfinished"
RUNTIME_PINS = "requirements.txt"
TEST_PINS = "requirements-test.txt"  # everything in RUNTIME_PINS and what the tests add
REMEDY = "on Debian and Ubuntu: apt install python3-venv"


class NotReady(Exception):
    """Why the environment could not be made: one sentence, and the exit code that goes with it."""

    def __init__(self, exit_code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


def start(arguments: list[str]) -> int:
    """Go on inside the environment with *arguments*; does not return if that is a new program."""
    if is_checkout(ROOT):
        testing = arguments[:1] == ["test"]
        try:
            python = prepare(ROOT, testing=testing)
        except NotReady as problem:
            print(problem, file=sys.stderr)
            return problem.exit_code
        except KeyboardInterrupt:
            return 130
        sys.stdout.flush()
        sys.stderr.flush()
        if testing:  # the tests are no part of the service, so neither is what runs them
            os.chdir(ROOT)
            os.execv(python, [str(python), "-m", "tests", *arguments[1:]])
        if not _is_running(ROOT / ".venv"):
            os.execv(python, [str(python), "-m", "directory", *arguments])

    from directory.cli import main

    main()


def is_checkout(root: Path) -> bool:
    """Whether *root* is our source tree, and not a folder that packages are installed in."""
    try:
        project = (root / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return False
    return f'name = "{NAME}"' in project and (root / RUNTIME_PINS).is_file()


def prepare(root: Path, *, testing: bool) -> Path:
    """Make ``.venv`` in *root* unless it is there and right; return its Python.

    Several starts at once wait for one another. Raises NotReady.
    """
    venv = root / ".venv"
    python = venv / "bin" / "python"
    pins = TEST_PINS if testing else RUNTIME_PINS
    wanted = _ground(root) | _pins(root, RUNTIME_PINS) | _pins(root, pins)
    if _is_ready(venv, wanted):
        return python
    try:
        with _alone(root):
            if not _is_ready(venv, wanted):  # another start may just have made it
                _make(root, venv, wanted, pins)
    except OSError as error:
        raise NotReady(3, f"{venv} could not be made: {error.strerror or error}.") from error
    return python


def lacking_sqlite() -> str | None:
    """What this Python's SQLite cannot do and we need, as one sentence; None when all is well."""
    try:
        import sqlite3
    except ImportError:
        return "This Python was built without SQLite; install one that has it."
    # 3.38 has the JSON operators and unixepoch() without being asked.
    if sqlite3.sqlite_version_info < (3, 38):
        return f"SQLite 3.38 or newer is needed, and this Python has {sqlite3.sqlite_version}."
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE t USING fts5(words)")
        except sqlite3.OperationalError:
            return "This Python's SQLite was built without full-text search (FTS5), which we need."
    return None


def install(python: Path, pins: Path) -> None:
    """Install *pins*, each checked against its hashes, for *python*; raises NotReady.

    By uv when it is on the path and by pip otherwise, or when uv did not succeed: a machine's
    mirror and certificates are often known to one of the two only.
    """
    said = ""
    if uv := _uv():
        command = [uv, "pip", "install", "--quiet", "--python", str(python)]
        command += ["--require-hashes", "--requirement", str(pins)]
        # As pip does unasked. uv leaves it to the first import, and where that may write nothing
        # every start would compile all of it anew, for seconds.
        command += ["--compile-bytecode"] if sys.dont_write_bytecode else []
        # Institutions look into what is fetched, with certificates only the system knows of. The
        # second name is the one that older releases of uv know.
        done, said = _run(command, {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"} | os.environ)
        if done:
            return
    if _run([str(python), "-m", "pip", "--version"])[0] or _bring_pip(python):
        command = [str(python), "-m", "pip", "install", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--require-hashes", "--requirement", str(pins)]
        done, said = _run(command, _where_to_look_only(os.environ))
        if done:
            return
    print(said.strip(), file=sys.stderr)
    # The words of pip 22 to 26 and of uv 0.5 to 0.13.
    if "do not match the hashes" in said.lower() or "hash mismatch" in said.lower():
        raise NotReady(5, f"A package is not the one {pins.name} names, so it was not installed.")
    raise NotReady(
        6,
        f"The packages in {pins.name} could not be fetched (see above). "
        "Look at the network, or at the package index set for pip or uv, and start again.",
    )


def _ground(root: Path) -> set[str]:
    """What an environment stands on and cannot change without being made anew, one fact a line."""
    return {
        f"python {sys.implementation.cache_tag}{sys.abiflags}",
        f"folder {root}",  # its scripts and its link to us hold this path
    }


def _pins(root: Path, name: str) -> set[str]:
    return {f"{name} {hashlib.sha256((root / name).read_bytes()).hexdigest()}"}


def _is_ready(venv: Path, wanted: set[str]) -> bool:
    if (venv / UNFINISHED).exists() or not (venv / "bin" / "python").exists():
        return False
    return wanted <= _made_from(venv)


def _made_from(venv: Path) -> set[str]:
    try:
        return set((venv / READY).read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return set()


def _is_running(venv: Path) -> bool:
    return Path(sys.prefix).resolve() == venv.resolve()


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    import fcntl

    # The pins themselves are the lock: always there, outlive .venv, and nobody else locks them.
    with (root / RUNTIME_PINS).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(root: Path, venv: Path, wanted: set[str], pins: str) -> None:
    if sentence := lacking_sqlite():
        raise NotReady(3, sentence)
    keep = _can_be_kept(venv, root)
    if not keep and not _can_create():
        raise NotReady(3, f"This Python cannot make virtual environments; {REMEDY}")
    print(
        f"Installing what {pins} names into {venv} (the first time this takes a minute) …",
        file=sys.stderr,
        flush=True,
    )
    if not keep:
        _empty(venv)
    (venv / UNFINISHED).touch()
    (venv / READY).unlink(missing_ok=True)
    if not keep:
        _create(venv)
    python = venv / "bin" / "python"
    try:
        install(python, root / pins)
        _check(python, root / pins)
    except NotReady:
        if keep:  # the installer ended by itself and harmed nothing: whoever is cut off from the
            (venv / UNFINISHED).unlink()  # network can go back to the pins of before
        raise
    # Makes us importable for programs started in the environment from another folder.
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}"
    (venv / "lib" / version / "site-packages" / f"{NAME}.pth").write_text(f"{root}\n")
    new = venv / f"{READY}.new"
    new.write_text("\n".join(sorted(wanted)) + "\n", encoding="utf-8")
    new.replace(venv / READY)
    (venv / UNFINISHED).unlink()


def _can_be_kept(venv: Path, root: Path) -> bool:
    """Whether *venv* is whole, so that changed pins can be installed over the old ones.

    Running processes are then left their files. One made by hand is kept too.
    """
    python = venv / "bin" / "python"
    if (venv / UNFINISHED).exists() or not python.exists():
        return False
    made_from = _made_from(venv)
    if made_from:
        return _ground(root) <= made_from
    import subprocess

    ask = "import sys; print(sys.implementation.cache_tag + sys.abiflags)"
    answer = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
    return answer.stdout.strip() == f"{sys.implementation.cache_tag}{sys.abiflags}"


def _empty(venv: Path) -> None:
    """Remove what is in *venv*, and not itself: it may be a link or a mounted volume."""
    import shutil

    venv.mkdir(exist_ok=True)
    for path in venv.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _can_create() -> bool:
    from importlib.util import find_spec

    # Debian has venv with every Python, and what puts pip into one in a package of its own.
    return bool(find_spec("venv") and (find_spec("ensurepip") or _uv()))


def _create(venv: Path) -> None:
    # In a program of its own, and not by EnvBuilder here: started from inside the old .venv, as
    # an editor does, this interpreter has just lost its files.
    base = getattr(sys, "_base_executable", sys.executable)
    options = ["--without-pip"] if _uv() else []
    done, said = _run([base, "-m", "venv", *options, str(venv)])
    if not done:
        print(said.strip(), file=sys.stderr)
        raise NotReady(3, f"The virtual environment could not be made (see above); {REMEDY}")


def _uv() -> str | None:
    """The path of a uv that runs; a version manager may leave a name that leads nowhere."""
    import shutil
    import subprocess

    uv = shutil.which("uv")
    if uv and subprocess.run([uv, "--version"], capture_output=True, check=False).returncode == 0:
        return uv
    return None


def _bring_pip(python: Path) -> bool:
    return _run([str(python), "-m", "ensurepip"])[0]


def _where_to_look_only(environment: Mapping[str, str]) -> dict[str, str]:
    """*environment* with the settings of pip that say where to fetch from, and none that say what
    to install or where to put it: those are ours to say, here.
    """
    theirs = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIREMENT", "PIP_EDITABLE"}
    kept = {name: value for name, value in environment.items() if name not in theirs}
    # These two may also stand in a configuration file, over which the environment wins.
    return kept | {"PIP_USER": "0", "PIP_CONSTRAINT": os.devnull}


def _check(python: Path, pins: Path) -> None:
    """Raise NotReady unless every pin without a condition is installed for *python*."""
    names = [
        line.split("==")[0]
        for line in pins.read_text(encoding="utf-8").splitlines()
        if line[:1].isalnum() and "==" in line and ";" not in line
    ]
    ask = "import sys; from importlib.metadata import version; [version(n) for n in sys.argv[1:]]"
    done, said = _run([str(python), "-c", ask, *names])
    if not done:
        print(said.strip(), file=sys.stderr)
        raise NotReady(3, f"The packages were installed elsewhere than for {python} (see above).")


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> tuple[bool, str]:
    """Whether *command* succeeded, and all that it said. Nothing of it reaches our own output."""
    import subprocess
    import tempfile

    # A file and not a pipe: a helper the command leaves behind would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            check=False,
        )
        output.seek(0)
        return done.returncode == 0, output.read().decode(errors="replace")
