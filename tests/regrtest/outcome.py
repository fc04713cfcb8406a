"""What came of one run of one test file, as far as it can be compared with another run of it."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict, dataclass, field

# Exit statuses of regrtest; 3 exists with --fail-env-changed only.
STATUSES = {0: "passed", 2: "failed", 3: "altered environment", 4: "no tests"}
HANG = "hang"

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")
_FAILURE = re.compile(r"^(?:ERROR|FAIL): (\S.*)$", re.MULTILINE)
_WARNING = re.compile(r"^Warning -- (\S.+)$", re.MULTILINE)
_FORK = "use of fork() may lead to deadlocks"


@dataclass
class Outcome:
    """Nothing in here depends on time, addresses or process ids, unless the test does."""

    status: str
    cases: dict = field(default_factory=dict)  # by name: passed, failed, skipped …
    failures: list = field(default_factory=list)  # as headings say: subtests and fixtures are not among the cases
    altered: list = field(default_factory=list)  # what regrtest says of its environment
    fork_warnings: int = 0  # CPython 3.12+ forked with several threads
    complaints: list = field(default_factory=list)  # lines of pytrace's, captures that are missing or do not open
    seconds: float = 0.0

    @property
    def is_complete(self):
        """Whether the cases are all there: a test file that crashed or hung tells of none."""
        return bool(self.cases)

    def as_json(self):
        return asdict(self)


def status(code, was_stopped):
    """In words; `code` is negative for a signal."""
    if was_stopped:
        return HANG
    return STATUSES.get(code, f"killed by signal {-code}" if code < 0 else f"exit status {code}")


def of_texts(code, was_stopped, xml, log, seconds):
    """The outcome of a run from what it left: its exit status, the report of its cases, all that it printed."""
    return Outcome(
        status=status(code, was_stopped),
        cases=cases(xml),
        failures=sorted({_ADDRESS.sub("0x…", heading) for heading in _FAILURE.findall(log)}),
        altered=sorted({_unnumbered(warning) for warning in _WARNING.findall(log)}),
        fork_warnings=log.count(_FORK),
        complaints=sorted({_unnumbered(line) for line in log.splitlines() if line.startswith("pytrace:")}),
        seconds=round(seconds, 1),
    )


def cases(xml):
    """Each case's outcome, by its name. A case that ran twice has the worse one."""
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return {}
    found = {}
    for case in root.iterfind(".//testcase[@name]"):  # what is left of a case whose subtests failed has none
        name, outcome = _ADDRESS.sub("0x…", case.get("name")), _case(case)
        found[name] = max(found.get(name, outcome), outcome, key=_BADNESS.index)
    return found


_BADNESS = ["passed", "skipped", "failed", "error"]


def _case(case):
    if case.find("error") is not None:
        return "error"
    if case.find("failure") is not None or case.get("outcome") == "UNEXPECTED_SUCCESS":
        return "failed"
    is_skipped = case.find("skipped") is not None or case.get("status") == "skipped" or case.get("result") == "skipped"
    return "skipped" if is_skipped else "passed"


def _unnumbered(text):
    """Without what differs from run to run: the run's own folder, process ids, thread ids, counts."""
    return re.sub(r"\d+", "…", re.sub(r"/\S*/regrtest-\w+/", "", _ADDRESS.sub("0x…", text)))
