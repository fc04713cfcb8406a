"""The document keeps what is written by hand; callgrind's files are read by who did the work."""

import unittest
from collections import Counter

from benchmarks.callgrind import Place, own_costs
from benchmarks.document import PATH, marks, replaced
from benchmarks.instructions import BIRTH, BOOKS, DEATH, REST, SHARED, per_event, role
from benchmarks.tables import table

COST_FILE = """\
version: 1
events: Ir
ob=(1) /lib/libpytrace.so
fl=(1) a.rs
fn=(1) pytrace::hooks::on_malloc
10 100
+2 5
fi=(2) inlined.rs
* 3
cob=(2) /lib/libc.so.6
cfi=(3) malloc.c
cfn=(2) malloc
calls=7 0
12 7000
13 1
ob=(2)
fl=(3)
fn=(2)
40 70
ob=(1)
fl=(1)
fn=(1)
-1 2
totals: 181
"""


class Document(unittest.TestCase):
    def test_only_the_generated_part_is_replaced(self):
        begin, end = marks("bars")
        text = f"by hand\n{begin}\nold \\1\n{end}\n<!-- hand -->also by hand\n"
        self.assertEqual(
            replaced(text, "bars", "new \\1"), f"by hand\n{begin}\nnew \\1\n{end}\n<!-- hand -->also by hand\n"
        )

    def test_a_part_that_is_missing_or_there_twice_is_not_guessed(self):
        begin, end = marks("bars")
        for text in ("nothing", f"{begin}{end}{begin}{end}"):
            with self.assertRaises(ValueError):
                replaced(text, "bars", "new")

    def test_the_document_has_every_part(self):
        text = PATH.read_text()
        suite = ("machine", "bars", "peers", "wall", "cpu", "memory", "events", "start")
        for part in (*suite, "instructions", "scaling"):
            self.assertIn(f"\n{marks(part)[0]}\nx\n{marks(part)[1]}\n", replaced(text, part, "x"))

    def test_a_table_is_aligned(self):
        self.assertEqual(table(["a", "bb"], [["ccc", 1]]), "| a   | bb |\n|-----|---:|\n| ccc |  1 |")


class Instructions(unittest.TestCase):
    def test_own_costs_leave_out_the_callees_and_keep_the_object_across_inlined_files(self):
        costs = own_costs(COST_FILE.splitlines(keepends=True))
        function = ("/lib/libpytrace.so", "pytrace::hooks::on_malloc")
        hook, inlined = Place(*function, "a.rs"), Place(*function, "inlined.rs")
        malloc = Place("/lib/libc.so.6", "malloc", "malloc.c")
        self.assertEqual(dict(costs), {hook: 107, inlined: 4, malloc: 70})

    def test_functions_are_told_apart_by_name(self):
        self.assertEqual(role("pytrace::hooks::allocators::on_malloc"), BIRTH)
        self.assertEqual(role("pytrace::hooks::allocators::on_free"), DEATH)
        self.assertEqual(role("pytrace::aggregate::merge::Merge::pass"), BOOKS)
        self.assertEqual(role("dlmalloc::dlmalloc::Dlmalloc<A>::free"), BOOKS)
        self.assertEqual(role("pytrace::thread::Hook::enter"), SHARED)

    def test_what_grows_is_divided_among_births_deaths_and_events(self):
        python = Place("/bin/python", "eval", "ceval.c")
        hook = Place("/l/lib.so", "on_malloc", "/x/cdylib/src/hooks/malloc.rs")
        books = Place("/l/lib.so", "aggregate", "/rustc/123/library/core/src/option.rs")
        bare = (Counter({python: 1000}), Counter({python: 2000}))
        traced = (Counter({python: 1100, hook: 50}), Counter({python: 2150, hook: 450, books: 200}))
        found = per_event(bare, traced, "lib.so", 20)
        self.assertEqual(found.roles, {BIRTH: 40.0, DEATH: 0.0, SHARED: 0.0, BOOKS: 10.0, REST: 2.5})
        self.assertEqual((found.total, found.bare), (32.5, 50.0))
        sources = [(BIRTH, "cdylib/src/hooks/malloc.rs", 20.0), (BOOKS, "core/src/option.rs", 10.0)]
        self.assertEqual(found.sources, sources)


if __name__ == "__main__":
    unittest.main()
