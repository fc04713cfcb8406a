"""Selections, exemptions, results kept on disk, the document."""

import io
import tempfile
import unittest
from pathlib import Path

from benchmarks.progress import Progress
from tests.regrtest import document, exemptions
from tests.regrtest.compare import Difference
from tests.regrtest.interpreter import Interpreter
from tests.regrtest.outcome import Outcome
from tests.regrtest.run import Build
from tests.regrtest.selection import CI, PATTERNS, QUICK, TestFile, select
from tests.regrtest.store import Store
from tests.regrtest.suite import Suite


class Selection(unittest.TestCase):
    def test_a_part_is_a_file_where_there_is_a_folder_and_a_pattern_before(self):
        new, old = ["test.test_asyncio.test_unix_events", "test_gc"], ["test_asyncio", "test_gc"]
        self.assertEqual(
            select(new, ["test_asyncio/test_unix_events"])[0], [TestFile("test.test_asyncio.test_unix_events")]
        )
        expected = [TestFile("test_asyncio", "test.test_asyncio.test_unix_events.*")]
        self.assertEqual(select(old, ["test_asyncio/test_unix_events"])[0], expected)

    def test_a_folder_is_all_its_files_and_what_is_missing_is_told(self):
        listed = ["test.test_ctypes.test_a", "test.test_ctypes.test_b", "test_gc"]
        self.assertEqual(
            select(listed, ["test_ctypes", "test_new"]), ([TestFile(name) for name in listed[:2]], ["test_new"])
        )

    def test_the_lists_name_nothing_twice_and_every_part_has_a_pattern(self):
        self.assertEqual(len(set(QUICK)), len(QUICK))
        self.assertLessEqual(set(CI), set(QUICK))
        self.assertEqual({entry for entry in QUICK if "/" in entry}, set(PATTERNS))


ENTRY = '[[exempt]]\nsubject = "test.test_x.*"\nversions = ["3.13"]\nreason = "it counts the threads of the process"\n'


class Exemptions(unittest.TestCase):
    def test_an_exemption_covers_its_subject_in_its_versions(self):
        known = exemptions.parse(ENTRY)
        inside, outside = Difference("new failure", "test.test_x.A.b", ""), Difference("hang", "test_y", "")
        self.assertEqual(exemptions.split([inside, outside], known, "3.13"), ([outside], [inside]))
        self.assertEqual(exemptions.split([inside], known, "3.12"), ([inside], []))

    def test_an_exemption_may_cover_one_difference_of_a_subject(self):
        known = exemptions.parse(ENTRY + 'what = ["*3 open files*"]\n')
        line, hang = (Difference("complaint", "test.test_x.f", what) for what in ("of 3 open files.", "hang"))
        self.assertEqual(exemptions.split([line, hang], known, "3.13"), ([hang], [line]))

    def test_too_many_and_those_without_a_reason_are_refused(self):
        for text in (ENTRY * (exemptions.MOST + 1), ENTRY.replace("it counts the threads of the process", "flaky")):
            with self.assertRaises(exemptions.Malformed):
                exemptions.parse(text)

    def test_the_file_itself_is_accepted(self):
        exemptions.read()


class Stored(unittest.TestCase):
    def test_results_are_found_again_for_their_interpreter_and_build_only(self):
        ours, theirs = Interpreter("a", "/a", "3.13.0 one"), Interpreter("a", "/a", "3.13.0 two")
        first, second = Build("1", Path(), Path(), "r"), Build("2", Path(), Path(), "r")
        file, outcome = TestFile("test_gc"), Outcome("passed", cases={"a": "passed"})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.jsonl"
            Store(path, ours, False).put(file, first, outcome)
            with open(path, "a") as lines:
                lines.write('{"python": "3.13.0 one", "fi')  # an interrupted write
            Store(path, ours, True).put(TestFile("test_os"), first, outcome)
            Store(path, ours, True).put(TestFile("test_io"), first, Outcome("hang"))
            again = Store(path, ours, True)
            self.assertEqual(again.get(file, first), outcome)
            self.assertEqual(again.get(TestFile("test_os"), first), outcome)
            self.assertIsNone(again.get(TestFile("test_io"), first))
            self.assertIsNone(again.get(file, second))
            self.assertIsNone(again.get(file, None))
            self.assertIsNone(Store(path, theirs, True).get(file, first))
            self.assertIsNone(Store(path, ours, False).get(file, first))

    def test_what_there_is_no_time_for_is_left_and_what_is_known_counts(self):
        ours, build = Interpreter("a", "/a", "3.13.0 (main)"), Build("1", Path(), Path(), "r")
        known, unknown = TestFile("test_gc"), TestFile("test_io")
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder, "a.jsonl"), ours, True)
            for either in (None, build):
                store.put(known, either, Outcome("passed", cases={"test_gc.A.b": "passed"}))
            suite = Suite(ours, build, store, Path(folder), 1, Progress(io.StringIO()), deadline=0)
            result = suite.run_all([known, unknown], 2)
        self.assertEqual((result.files, result.cases, result.left), (1, 1, ["test_io"]))


class Documented(unittest.TestCase):
    def test_only_the_marked_part_is_replaced(self):
        begin, end = document.PART.begin, document.PART.end
        text = f"# Title\n\nby hand\n\n{begin}\nold\n{end}\n\nmore by hand\n"
        expected = f"# Title\n\nby hand\n\n{begin}\nnew\n{end}\n\nmore by hand\n"
        self.assertEqual(document.PART.replaced(text, "new"), expected)

    def test_a_document_without_the_part_gets_it_once(self):
        text = document.PART.replaced(document.PART.replaced("# Title\n\nby hand\n", "old"), "new")
        self.assertEqual((text.count(document.PART.begin), text.count("old"), text.count("by hand")), (1, 0, 1))

    def test_rows_that_were_not_made_anew_stay(self):
        row = {"interpreter": "a (3.11)", "tests": "quick", "files": 38, "revision": "abc"}
        old = document.PART.replaced("", document.content([row, row | {"tests": "ci"}], [], ""))
        new = document.content([row | {"files": 39}, row | {"interpreter": "b (3.12)"}], [], old)
        rows = [line.split(" | ")[:3] for line in new.splitlines() if line.startswith("| ")][1:]
        expected = [["| a (3.11)", "quick", "39"], ["| b (3.12)", "quick", "38"], ["| a (3.11)", "ci", "38"]]
        self.assertEqual(rows, expected)
