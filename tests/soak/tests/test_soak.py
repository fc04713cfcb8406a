"""What an output means, what the table says, what a document keeps."""

import unittest

from tests.soak import document
from tests.soak.parts import PARTS
from tests.soak.run import judged

RESULT = {
    "part": "kill9",
    "what": "200 kills | at random",
    "result": "held",
    "measured": ["median 50 ms"],
    "seconds": 61.2,
    "date": "2026-01-01",
    "revision": "abc",
    "machine": "a machine",
}


class Judging(unittest.TestCase):
    def test_a_run_without_a_test_has_not_held(self):
        self.assertEqual(judged(0, "test result: ok. 0 passed; 0 failed", is_cargo=True)["result"], "failed")
        self.assertEqual(judged(0, "test result: ok. 2 passed; 0 failed", is_cargo=True)["result"], "held")
        self.assertEqual(judged(101, "test result: ok. 2 passed; 0 failed", is_cargo=True)["result"], "failed")
        self.assertEqual(judged(0, "", is_cargo=False)["result"], "held")

    def test_what_was_measured_is_kept(self):
        self.assertEqual(judged(0, "x\ntest f47 ... measured: 5 ms\ny", is_cargo=False)["measured"], ["5 ms"])

    def test_names_of_parts_are_unique(self):
        self.assertEqual(len({part.name for part in PARTS}), len(PARTS))


class Documents(unittest.TestCase):
    def test_a_row_has_everything(self):
        table = document.content([RESULT], "")
        self.assertIn(
            "| `kill9` | 200 kills / at random | held | median 50 ms | 1 min 1 s | 2026-01-01 | `abc` |", table
        )
        self.assertIn("a machine", table)
        self.assertIn("**failed**", document.content([RESULT | {"result": "failed"}], ""))

    def test_what_was_not_run_again_keeps_its_row(self):
        before = document.PART.replaced("# Title\n", document.content([RESULT], ""))
        other = RESULT | {"part": "spawn", "measured": [], "machine": "another machine"}
        both = document.PART.replaced(before, document.content([other], before))
        lines = [line for line in both.splitlines() if line.startswith("| `")]
        self.assertEqual([line.split("`")[1] for line in lines], ["kill9", "spawn"])
        self.assertIn("Machines: a machine; another machine.", both)
        again = document.PART.replaced(both, document.content([RESULT | {"revision": "def"}], both))
        self.assertEqual([again.count(text) for text in ("`kill9`", "`abc`", "`def`", "a machine")], [1, 1, 1, 1])


if __name__ == "__main__":
    unittest.main()
