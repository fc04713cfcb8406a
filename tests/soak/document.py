"""The table of results in docs/RELIABILITY.md. Only what stands between the marks is replaced."""

from .parts import PARTS
from .run import ROOT, kept_result

PATH = ROOT / "docs" / "RELIABILITY.md"
BEGIN, END = "<!-- soak -->", "<!-- /soak -->"
HEADING = "## The soak"


def table(results):
    """The results as a table; the machines that they come from are named once below it."""
    rows = ["| part | what was run | result | measured | duration | date | revision |", "|---|---|---|---|---|---|---|"]
    for result in results:
        cells = [
            f"`{result['part']}`",
            result["what"],
            f"**{result['result']}**" if result["result"] != "held" else "held",
            "; ".join(result["measured"]) or "–",
            duration(result["seconds"]),
            result["date"],
            f"`{result['revision']}`",
        ]
        rows.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    machines = sorted({result["machine"] for result in results})
    return "\n".join([*rows, "", f"Machine: {'; '.join(machines)}. `scripts/soak` runs it again, part by part."])


def duration(seconds):
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def with_part(text, content):
    """`text` with the generated part replaced, or added at the end if there is none."""
    part = f"{BEGIN}\n{content}\n{END}"
    if BEGIN not in text or END not in text:
        return f"{text.rstrip()}\n\n{HEADING}\n\n{part}\n".lstrip()
    before, _, rest = text.partition(BEGIN)
    return before + part + rest.partition(END)[2]


def write():
    """Writes the results that there are; returns how many."""
    results = [result for result in map(kept_result, PARTS) if result is not None]
    text = PATH.read_text() if PATH.exists() else "# Reliability\n"
    PATH.write_text(with_part(text, table(results)))
    return len(results)
