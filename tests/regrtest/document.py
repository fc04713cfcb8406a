"""The table in docs/RELIABILITY.md: a row per interpreter and kind of run, the latest of each. Other rows stay."""

import json

from tests.marked_part import MarkedPart
from tests.marked_part import table as markdown

from .interpreter import ROOT

PART = MarkedPart(ROOT / "docs" / "RELIABILITY.md", "regrtest", "## CPython's regression suite")
COLUMNS = ("interpreter", "tests", "files", "cases", "differences", "exempt", "flakes", "date", "revision")
TEXT = """\
Each test file runs bare and under the preload, in a process of its own, as CPython's `make test` does (`-W default -bb -E`, no
resources such as the network). Whatever differs (failures, hangs, crashes, skips, altered environments, warnings of forks,
lines of pytrace's, captures that are missing or do not open) is repeated three times, alternately, alone: what shows again and
in no bare run is a difference; what does not is a flake. `scripts/regrtest --write-docs` makes this table: `all` are all test files, `quick` is the list of
that name in tests/regrtest/selection.py, `ci` the part of it that scripts/test runs."""


def content(results, exemptions, old):
    """The part with the rows of `results` (by column), and those of `old`, the document as it is, that have no newer one."""
    rows = [[str(result.get(column, "–")) for column in COLUMNS] for result in results]
    rows = PART.rows(old, 2) | {tuple(row[:2]): row for row in rows}
    ordered = sorted(rows.values(), key=lambda row: (("all", "quick", "ci").index(row[1].split()[0]), row[0]))
    lines = []
    for exemption in exemptions:
        versions = f" ({', '.join(exemption.versions)})" if exemption.versions else ""
        lines.append(f"- Exempt: `{exemption.subject}`{versions}: {exemption.reason}")
    return "\n\n".join([TEXT, markdown(COLUMNS, ordered), "\n".join(lines)])


def write(folder, exemptions):
    """Writes the table of all results in `folder` that a whole list gave."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.row.json"))]
    PART.write(content(results, exemptions, PART.read()))
