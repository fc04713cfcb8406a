"""The table in docs/RELIABILITY.md: a row per interpreter and kind of run, the latest of each. Other rows stay."""

import json
import re

from .interpreter import ROOT

PATH = ROOT / "docs" / "RELIABILITY.md"
BEGIN, END = "<!-- regrtest -->", "<!-- /regrtest -->"
COLUMNS = ("interpreter", "tests", "files", "cases", "differences", "exempt", "flakes", "date", "revision")
TITLE = "# Reliability\n"
HEADING = "## CPython's regression suite\n"
TEXT = """\
Each test file runs bare and under the preload, in a process of its own, as CPython's `make test` does (`-W default -bb -E`, no
resources such as the network). Whatever differs (failures, hangs, crashes, skips, altered environments, warnings of forks,
lines of pytrace's, captures that are missing or do not open) is repeated three times, alternately, alone: what shows again and
in no bare run is a difference; what does not is a flake. `scripts/regrtest --write-docs` makes this table: `all` are all test files, `quick` is the list of
that name in tests/regrtest/selection.py, `ci` the part of it that scripts/test runs."""


def table(rows):
    """The rows (texts by column) as Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(str(row.get(column, '–')) for column in COLUMNS)} |" for row in rows]
    return "\n".join(lines)


def with_part(text, content):
    """`text` with the marked part replaced; a text without one gets it at its end."""
    part = f"{BEGIN}\n{content.strip()}\n{END}"
    if BEGIN in text:
        return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: part, text, count=1, flags=re.DOTALL)
    return f"{text.rstrip() or TITLE.rstrip()}\n\n{HEADING}\n{part}\n"


def write(folder, exemptions):
    """Writes the table of all results in `folder` that a whole list gave."""
    rows = [json.loads(path.read_text()) for path in sorted(folder.glob("*.row.json"))]
    rows.sort(key=lambda row: (("all", "quick", "ci").index(row["tests"]), row["interpreter"]))
    content = [TEXT, table(rows)]
    for exemption in exemptions:
        versions = f" ({', '.join(exemption.versions)})" if exemption.versions else ""
        content.append(f"- Exempt: `{exemption.subject}`{versions}: {exemption.reason}")
    text = PATH.read_text() if PATH.exists() else ""
    PATH.write_text(with_part(text, "\n\n".join(content[:2]) + "\n\n" + "\n".join(content[2:])))
