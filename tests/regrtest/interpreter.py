"""The interpreters: where they are, which version, what tests they have."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHONS = Path(os.environ.get("PYTRACE_PYTHONS", ROOT / ".pythons"))  # as in scripts/pythons


class Unusable(Exception):
    """Something is missing; the text says what, and what to do."""


@dataclass(frozen=True)
class Interpreter:
    name: str
    path: str
    full_version: str  # sys.version on one line, as two builds of one version are two interpreters
    tests: str = ""  # the folder of its test suite, where that is not in its library

    @property
    def version(self):
        """`3.11`."""
        return ".".join(self.full_version.split()[0].split(".")[:2])

    def test_files(self):
        """All test files, as regrtest lists them."""
        listed = _output([self.path, "-m", "test", "--list-tests"], self.environment())
        names = [line.strip() for line in listed.splitlines() if " " not in line.strip() and "test_" in line]
        if len(names) < 100:
            raise Unusable(
                f"{self.name} has no test suite of its own: scripts/pythons fetches those of Debian's interpreters"
            )
        return names

    def environment(self):
        """What its processes get, without pytrace."""
        return {**clean_environment(), **({"PYTHONPATH": self.tests} if self.tests else {})}


def clean_environment():
    """This process's environment without what changes tests or is pytrace's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTRACE", "LD_"))}
    return {**kept, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def _output(command, environment=None):
    done = subprocess.run(command, env=environment or clean_environment(), capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def interpreters():
    """All that scripts/pythons finds: path by name."""
    lines = _output([str(ROOT / "scripts" / "pythons"), "--list"]).splitlines()
    return dict(line.split("\t") for line in lines)


def find(wanted):
    """The interpreter of a name (`pyenv-3.11.7`) or at a path."""
    known = interpreters()
    path = known.get(wanted, wanted)
    full = (
        _output([path, "-c", "import sys; print(sys.version.replace(chr(10), ' '))"]).strip() if _is_there(path) else ""
    )
    if not full:
        raise Unusable(f"{wanted}: no such interpreter (there are {', '.join(known)})")
    by_path = {os.path.realpath(path): name for name, path in known.items()}
    name = by_path.get(os.path.realpath(path), Path(path).name)
    apart = next(PYTHONS.glob(f"{name}-tests/usr/lib/python3.*/test"), None)
    return Interpreter(name, path, full, str(apart.parent) if apart else "")


def _is_there(path):
    return os.access(path, os.X_OK)
