"""What has to be there before anything is measured: the interpreter, the built library, the peers in a virtual environment.

Everything that is made lies below the target folder, and is made once.
"""

import filecmp
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PYTHON = Path("~/.pyenv/versions/3.11.7/bin/python").expanduser()


class Unusable(Exception):
    """Something is missing; the text says what, and what to do."""


@dataclass(frozen=True)
class Setup:
    """Where things are."""

    python: Path  # of the virtual environment: all measured processes
    library: Path
    report: Path  # the command line, which reads the captures
    output: Path  # results
    programs: Path = ROOT / "benchmarks" / "programs"

    @property
    def pyperformance(self):
        """The folder that holds pyperformance's programs."""
        pattern = "lib/python*/site-packages/pyperformance/data-files/benchmarks"
        return next(self.python.parent.parent.glob(pattern))


def prepare(python, build, say):
    """Builds the library (if `build`) and the virtual environment for `python`, and says where they are."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    if build:
        say("building the library")
        _run(["cargo", "build", "--quiet", "--release", "--workspace"], "build it by hand to see why")
    setup = Setup(
        python=_environment(_interpreter(python), target, say),
        library=target / "release" / "libpytrace.so",
        report=target / "release" / "pytrace",
        output=target / "bench",
    )
    for path in (setup.library, setup.report):
        if not path.exists():
            raise Unusable(f"{path} is missing: cargo build --release --workspace")
    setup.output.mkdir(parents=True, exist_ok=True)
    return setup


def _interpreter(python):
    """The interpreter that was asked for, else pyenv's 3.11.7, else the machine's own."""
    if python is None and DEFAULT_PYTHON.exists():
        return DEFAULT_PYTHON
    found = shutil.which(os.path.expanduser(python or "python3"))
    if found is None:
        raise Unusable(f"{python} is not an interpreter: give --python a path")
    return Path(found)


def _environment(python, target, say):
    """A virtual environment of `python` with what requirements.txt names; made when there is none or the requirements have changed."""
    tag = "import sys; print('%s-%s' % (sys.implementation.cache_tag, hash(sys.base_prefix) & 0xffff))"
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    name = subprocess.run([python, "-c", tag], capture_output=True, text=True, env=environment).stdout.strip()
    folder = target / f"bench-venv-{name}"
    wanted, present = ROOT / "benchmarks" / "requirements.txt", folder / "requirements.txt"
    if not (present.exists() and filecmp.cmp(wanted, present, shallow=False)):
        say(f"installing the peers into {folder}")
        _run([python, "-m", "venv", "--clear", folder], "Debian: apt-get install python3-venv")
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # pyperformance asks for packages that its own driver needs; only its programs are wanted.
        for line in wanted.read_text().split():
            options = ["--no-deps"] if line.startswith("pyperformance") else []
            _run([*pip, *options, line], "is there a package index?")
        shutil.copy(wanted, present)
    return folder / "bin" / "python"


def _run(command, advice):
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Unusable(f"{' '.join(map(str, command))} failed: {last} ({advice})")
