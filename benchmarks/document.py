"""Puts tables into docs/BENCHMARKS.md. Only what stands between the marks of a generated part is replaced; all other text is
written by hand and stays.
"""

import re

from .setup import ROOT, Unusable

PATH = ROOT / "docs" / "BENCHMARKS.md"


def marks(part):
    return f"<!-- generated: {part} -->", f"<!-- end of generated: {part} -->"


def replaced(text, part, content):
    """`text` with the generated `part` replaced; ValueError where it has no such part, or several."""
    begin, end = marks(part)
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"not one part {begin} … {end}")
    return pattern.sub(lambda _: f"{begin}\n{content.strip()}\n{end}", text)


def write(parts):
    """Writes the parts (content by name) into the document."""
    text = PATH.read_text()
    try:
        for part, content in parts.items():
            text = replaced(text, part, content)
    except ValueError as error:
        raise Unusable(f"{PATH}: {error}") from None
    PATH.write_text(text)
