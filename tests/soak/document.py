"""The table of results in docs/RELIABILITY.md. Parts that were not run here keep their rows."""

import re

from tests.marked_part import MarkedPart
from tests.marked_part import table as markdown

from .parts import PARTS
from .run import ROOT, kept_result

PART = MarkedPart(ROOT / "docs" / "RELIABILITY.md", "soak", "## The soak")
COLUMNS = ("part", "what was run", "result", "measured", "duration", "date", "revision")


def row(result):
    """The cells of a result."""
    cells = [
        f"`{result['part']}`",
        result["what"],
        f"**{result['result']}**" if result["result"] != "held" else "held",
        "; ".join(result["measured"]) or "–",
        duration(result["seconds"]),
        result["date"],
        f"`{result['revision']}`",
    ]
    return [cell.replace("|", "/") for cell in cells]


def content(results, old):
    """The table, with the rows of `old` (the document as it is) for what has no result; the machines are named once below it."""
    rows = PART.rows(old, 1) | {(f"`{result['part']}`",): row(result) for result in results}
    order = [f"`{part.name}`" for part in PARTS]
    known = [rows[name,] for name in order if (name,) in rows]
    before = re.search(r"^Machines?: (.*)\. `scripts/soak`", PART.content(old), re.MULTILINE)
    machines = set(before.group(1).split("; ") if before else ()) | {result["machine"] for result in results}
    names = f"Machines: {'; '.join(sorted(machines))}. `scripts/soak` runs it again, part by part."
    return f"{markdown(COLUMNS, known)}\n\n{names}"


def duration(seconds):
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def write():
    """Writes the results that there are; returns how many."""
    results = [result for result in map(kept_result, PARTS) if result is not None]
    PART.write(content(results, PART.read()))
    return len(results)
