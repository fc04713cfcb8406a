"""scripts/soak: which parts are run."""

import argparse

from . import document
from .parts import PARTS, named
from .run import kept_result, run


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Runs the long tests in full. A part that has held before is not run again, unless it is named.",
    )
    parser.add_argument(
        "--part", action="append", choices=[part.name for part in PARTS], help="run this part, whatever is known"
    )
    parser.add_argument("--list", action="store_true", help="list the parts and what is known of them")
    parser.add_argument("--write-docs", action="store_true", help="only write the table of docs/RELIABILITY.md")
    chosen = parser.parse_args(arguments)
    if chosen.list:
        for part in PARTS:
            known = kept_result(part)
            state = f"{known['result']} {known['date']} {known['revision']}" if known else "not run"
            print(f"{part.name:15} {state:35} {part.what}")
        return 0
    failed = False
    if not chosen.write_docs:
        failed = run_parts([named(name) for name in chosen.part] if chosen.part else _not_yet_held())
    print(f"{document.write()} results are in {document.PART.path}")
    return 1 if failed else 0


def _not_yet_held():
    return [part for part in PARTS if (kept_result(part) or {}).get("result") != "held"]


def run_parts(parts):
    """Runs parts in turn; returns whether one failed."""
    results = []
    for part in parts:
        print(f"{part.name}: {part.what} …", flush=True)
        result = run(part)
        print(
            f"{part.name}: {result['result']} after {document.duration(result['seconds'])}",
            *result["measured"],
            sep="\n  ",
        )
        results.append(result["result"])
    return "failed" in results
