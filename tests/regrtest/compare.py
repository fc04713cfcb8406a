"""How the outcome of a traced run differs from that of a bare one. Pure.

Test files fluctuate: under load, at random, by the second. So a difference is what shows in a traced run and in none of the
bare runs of the same file, and what does not show again when both are repeated is called a flake.
"""

from dataclasses import dataclass

from .outcome import HANG

BAD = {"failed", "error"}


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that shows under the preload only."""

    kind: str  # new failure, hang, crash, altered environment, changed outcome, fork warning, complaint
    subject: str  # the test case, or the file
    what: str

    def __str__(self):
        return f"{self.kind}: {self.subject}: {self.what}"


def differences(file, bares, traced):
    """What of `traced` is in none of `bares`, runs of the same file."""
    found = [*_cases(bares, traced), *_failures(bares, traced)]
    bare_statuses = {bare.status for bare in bares}
    if traced.status not in bare_statuses and not (found and traced.status == "failed"):
        found.append(Difference(_kind(traced.status), file, f"{_either(bare_statuses)} → {traced.status}"))
    known = {altered for bare in bares for altered in bare.altered}
    found += [Difference("altered environment", file, altered) for altered in traced.altered if altered not in known]
    if traced.fork_warnings and not any(bare.fork_warnings for bare in bares):
        found.append(Difference("fork warning", file, f"{traced.fork_warnings} warnings of forks with several threads"))
    known = {line for bare in bares for line in bare.complaints}
    found += [Difference("complaint", file, line) for line in traced.complaints if line not in known]
    return sorted(found)


def lasting(file, bares, traced):
    """What shows in any of the runs `traced` and in none of `bares`."""
    return sorted({difference for run in traced for difference in differences(file, bares, run)})


def _cases(bares, traced):
    complete = [bare for bare in bares if bare.is_complete]
    if not (complete and traced.is_complete):
        return
    for name in sorted(set(traced.cases).union(*(bare.cases for bare in complete))):
        outcome = traced.cases.get(name, "not run")
        before = {bare.cases.get(name, "not run") for bare in complete}
        if outcome not in before:
            is_new_failure = outcome in BAD and not before & BAD
            kind = "new failure" if is_new_failure else "changed outcome"
            yield Difference(kind, name, f"{_either(before)} → {outcome}")


def _failures(bares, traced):
    """Headings of failures that no case tells of: subtests, fixtures of classes and modules."""
    known = {heading for bare in bares for heading in bare.failures}
    for heading in traced.failures:
        method, _, place = heading.partition(" (")
        place = place.split(")")[0]
        names = {place, f"{place}.{method}"}
        is_told = any(outcome in BAD and name in names for name, outcome in traced.cases.items())
        if heading not in known and not is_told:
            yield Difference("new failure", heading, "not there → failed")


def _kind(status):
    if status in (HANG, "altered environment"):
        return status
    if status.startswith(("killed", "exit")):
        return "crash"
    return "new failure" if status == "failed" else "changed outcome"


def _either(outcomes):
    return " or ".join(sorted(outcomes))
