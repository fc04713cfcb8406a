"""The ways in which a program is started: untraced, under pytrace, under its peers.

pytrace runs with its defaults but for the setting that is measured: the summary goes to stderr (a file here), the capture to the
working directory (a temporary one).
"""

from dataclasses import dataclass

UNTRACED = "untraced"
COUNTS = "counts"
SITES = "sites"
NATIVE = "sites + native=full"
PYTRACE = (COUNTS, SITES, NATIVE)
MEMRAY_PYTHON = "memray --trace-python-allocators"
MEMRAY_PYTHON_NATIVE = "memray --trace-python-allocators --native"
CAPTURE_SUFFIX = ".pytrace"


@dataclass(frozen=True)
class Configuration:
    """How a command line and an environment are made from a program."""

    name: str
    environment: tuple = ()  # (name, value) pairs
    options: tuple = ()  # of the interpreter
    memray: tuple | None = None  # options of `memray run`

    @property
    def is_pytrace(self):
        return any(name == "LD_PRELOAD" for name, _ in self.environment)

    @property
    def is_peer(self):
        return self.name != UNTRACED and not self.is_pytrace

    def command(self, python, arguments, directory):
        """The command that runs `arguments` (what follows the interpreter), with its files in `directory`."""
        command = [python, *self.options]
        if self.memray is not None:
            command += ["-m", "memray", "run", "-q", "-f", "-o", f"{directory}/memray.bin", *self.memray]
        return [str(part) for part in (*command, *arguments)]


def configurations(library):
    """All configurations by name, in the order of the tables."""
    preload = ("LD_PRELOAD", str(library))
    all_configurations = [
        Configuration(UNTRACED),
        Configuration(COUNTS, (preload, ("PYTRACE_MODE", "counts"))),
        Configuration(SITES, (preload, ("PYTRACE_MODE", "sites"))),
        Configuration(NATIVE, (preload, ("PYTRACE_MODE", "sites"), ("PYTRACE_NATIVE", "full"))),
        Configuration("tracemalloc", options=("-X", "tracemalloc=1")),
        Configuration("tracemalloc, 25 frames", options=("-X", "tracemalloc=25")),
        Configuration("memray", memray=()),
        Configuration("memray --native", memray=("--native",)),
        Configuration(MEMRAY_PYTHON, memray=("--trace-python-allocators",)),
        Configuration(MEMRAY_PYTHON_NATIVE, memray=("--trace-python-allocators", "--native")),
    ]
    return {configuration.name: configuration for configuration in all_configurations}
