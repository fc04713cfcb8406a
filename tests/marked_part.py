"""The generated part of a document, between two marks, and the rows of the table in it.

Results are kept in target/, which a new checkout has not: so the rows that were not made anew are taken from the document.
"""


class MarkedPart:
    """The part of a document between `<!-- name -->` and `<!-- /name -->`."""

    def __init__(self, path, name, heading):
        self.path = path
        self.begin, self.end = f"<!-- {name} -->", f"<!-- /{name} -->"
        self.heading = heading

    def read(self):
        """The document's text; that of a new one if there is none."""
        return self.path.read_text() if self.path.exists() else "# Reliability\n"

    def replaced(self, text, content):
        """`text` with the part replaced; a text without one gets it at its end."""
        part = f"{self.begin}\n{content.strip()}\n{self.end}"
        if self.begin not in text or self.end not in text:
            return f"{text.rstrip()}\n\n{self.heading}\n\n{part}\n"
        before, _, rest = text.partition(self.begin)
        return before + part + rest.partition(self.end)[2]

    def write(self, content):
        self.path.write_text(self.replaced(self.read(), content))

    def content(self, text):
        """What stands between the marks; nothing if they are not there."""
        return text.partition(self.begin)[2].partition(self.end)[0]

    def rows(self, text, key_columns):
        """The rows of the table in the part: what their first cells say → the cells."""
        lines = [line for line in self.content(text).splitlines() if line.startswith("| ")]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]
        return {tuple(row[:key_columns]): row for row in rows}


def table(columns, rows):
    """A table of Markdown. Cells are texts."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])
