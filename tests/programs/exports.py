"""Opens what `pytrace report` exported of one capture with other people's tools, and compares the sums.

Arguments: a folder with report.json, .csv, .parquet, .speedscope.json and .collapsed.
"""

import csv
import json
import pathlib
import sys

import duckdb
import pandas

folder = pathlib.Path(sys.argv[1])
report = json.loads((folder / "report.json").read_text())
sites = report["sites"]
COUNTERS = [name for name, value in sites[0].items() if isinstance(value, int)]


def expect(found, expected, what):
    if found != expected:
        raise SystemExit(f"{what}: {found!r}, and not {expected!r}")


def sums(rows):
    return {name: sum(int(row[name]) for row in rows) for name in COUNTERS}


expected = sums(sites)

with (folder / "report.csv").open(newline="") as file:
    rows = list(csv.DictReader(file))
expect(sums(rows), expected, "csv")
expect([row["domain"] for row in rows], [site["domain"] for site in sites], "csv's domains")
for row in rows:
    for text in row.values():
        formula = text.startswith(("=", "+", "-", "@", "\t", "\r"))
        expect((formula, text.isprintable()), (False, True), repr(text))
frame = pandas.read_csv(folder / "report.csv")
expect({name: int(frame[name].sum()) for name in COUNTERS}, expected, "csv in pandas")

path = folder / "report.parquet"
columns = ", ".join(f"sum({name})" for name in COUNTERS)
found = duckdb.sql(f"select {columns} from read_parquet('{path}')").fetchall()[0]
expect(dict(zip(COUNTERS, map(int, found))), expected, "parquet in duckdb")
frame = pandas.read_parquet(path, engine="fastparquet")
expect({name: int(frame[name].sum()) for name in COUNTERS}, expected, "parquet in pandas")
expect(len(frame), len(sites), "rows of parquet")
in_python = [next((call["function"] for call in site["stack"] if call["kind"] == "python"), None) for site in sites]
found = [name if isinstance(name, str) else None for name in frame["function"]]
expect(found, in_python, "functions in parquet")

in_total = [site for site in sites if site["domain"] != "mmap"]
requested = sum(site["requested_bytes"] for site in in_total)

document = json.loads((folder / "report.speedscope.json").read_text())
(profile,) = document["profiles"]
expect(profile["unit"], "bytes", "speedscope's unit")
expect(sum(profile["weights"]), requested, "speedscope's weights")
expect(profile["endValue"], requested, "speedscope's end")
expect(len(profile["samples"]), len(profile["weights"]), "speedscope's samples")
frames = document["shared"]["frames"]
expect({number < len(frames) for sample in profile["samples"] for number in sample}, {True}, "frames")
expect("</script>" in (folder / "report.speedscope.json").read_text(), False, "markup")
