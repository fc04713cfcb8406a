"""What differs is found; what fluctuates, or is told twice, is not."""

import unittest

from tests.regrtest.compare import Difference, differences, lasting
from tests.regrtest.outcome import Outcome, of_texts

FILE = "test_x"


def outcome(status="passed", **fields):
    return Outcome(status, **{"cases": {"test.a": "passed", "test.b": "passed"}, **fields})


def kinds(bares, traced):
    return [difference.kind for difference in differences(FILE, bares, traced)]


class Differences(unittest.TestCase):
    def test_equal_runs_do_not_differ(self):
        self.assertEqual(differences(FILE, [outcome(seconds=1.0)], outcome(seconds=9.0)), [])

    def test_a_case_that_fails_is_told_once_and_not_again_for_its_file(self):
        failed = outcome("failed", cases={"test.a": "passed", "test.b": "failed"}, failures=["b (test)"])
        expected = [Difference("new failure", "test.b", "passed → failed")]
        self.assertEqual(differences(FILE, [outcome()], failed), expected)

    def test_a_failed_subtest_is_told_although_no_case_failed(self):
        failed = outcome("failed", failures=["b (test) (i=3)"])
        self.assertEqual(
            [str(each) for each in differences(FILE, [outcome()], failed)],
            ["new failure: b (test) (i=3): not there → failed"],
        )

    def test_a_subtest_that_fails_bare_as_well_is_not_told(self):
        failed = outcome("failed", failures=["b (test) (i=3)"])
        self.assertEqual(differences(FILE, [failed], failed), [])

    def test_a_failure_that_names_no_case_is_the_files(self):
        self.assertEqual(
            differences(FILE, [outcome()], outcome("failed")), [Difference("new failure", FILE, "passed → failed")]
        )

    def test_skips_and_passes_that_changed_are_differences_too(self):
        skipped = outcome(cases={"test.a": "passed", "test.b": "skipped"})
        self.assertEqual(kinds([outcome()], skipped), ["changed outcome"])
        self.assertEqual(kinds([skipped], outcome()), ["changed outcome"])
        self.assertEqual(kinds([outcome()], outcome(cases={"test.a": "passed"})), ["changed outcome"])

    def test_a_failure_that_became_an_error_is_not_new(self):
        bare = outcome("failed", cases={"test.a": "failed"})
        traced = outcome("failed", cases={"test.a": "error"})
        self.assertEqual(kinds([bare], traced), ["changed outcome"])

    def test_hangs_and_crashes_have_no_cases_and_are_told_as_what_they_are(self):
        self.assertEqual(kinds([outcome()], outcome("hang", cases={})), ["hang"])
        self.assertEqual(kinds([outcome()], outcome("killed by signal 11", cases={})), ["crash"])

    def test_an_altered_environment_is_a_difference_beside_a_failure_as_well(self):
        altered = outcome("failed", altered=["files was modified by test_x"])
        self.assertEqual(kinds([outcome("failed")], altered), ["altered environment"])
        self.assertEqual(kinds([altered], altered), [])

    def test_warnings_of_forks_and_complaints_count_where_a_bare_run_has_none(self):
        self.assertEqual(kinds([outcome()], outcome(fork_warnings=2)), ["fork warning"])
        self.assertEqual(kinds([outcome(fork_warnings=1)], outcome(fork_warnings=2)), [])
        self.assertEqual(kinds([outcome()], outcome(complaints=["pytrace: no room"])), ["complaint"])

    def test_what_any_bare_run_showed_is_no_difference(self):
        fluctuating = outcome("failed", cases={"test.a": "passed", "test.b": "failed"})
        self.assertEqual(kinds([outcome(), fluctuating], fluctuating), [])

    def test_one_repeat_that_differs_is_enough(self):
        failed = outcome("failed", cases={"test.a": "passed", "test.b": "failed"})
        self.assertEqual(len(lasting(FILE, [outcome()] * 4, [outcome(), failed, outcome()])), 1)
        self.assertEqual(lasting(FILE, [outcome()] * 4, [outcome()] * 3), [])


REPORT = """\
<testsuites><testsuite>
<testcase name="test.a" status="run" result="completed"/>
<testcase status="run" result="completed"/>
<testcase name="test.b" status="run" result="completed"><failure type="AssertionError">no</failure></testcase>
<testcase name="test.c" status="run" result="skipped"><skipped>not here</skipped></testcase>
<testcase name="test.d" status="run" result="completed"/>
<testcase name="test.d" status="run" result="completed"><error type="OSError">no</error></testcase>
<testcase name="test.e at 0x7f00" status="run" result="completed" outcome="UNEXPECTED_SUCCESS"/>
</testsuite></testsuites>
"""
LOG = """\
Warning -- Unraisable exception in process 4711
FAIL: test_b (test) (where=<object at 0x7f01>)
pytrace: /tmp/regrtest-w_3ea2z4m/captures/17.pytrace: no room
pytrace: /tmp/regrtest-w_3ea2z4m/captures/18.pytrace: no room
DeprecationWarning: This process (pid=12) is multi-threaded, use of fork() may lead to deadlocks in the child.
the word pytrace: within a line
"""


class Outcomes(unittest.TestCase):
    def test_everything_is_read_from_what_a_run_left(self):
        found = of_texts(2, False, REPORT, LOG, 1.26)
        self.assertEqual(
            found,
            Outcome(
                status="failed",
                cases={
                    "test.a": "passed",
                    "test.b": "failed",
                    "test.c": "skipped",
                    "test.d": "error",
                    "test.e at 0x…": "failed",
                },
                failures=["test_b (test) (where=<object at 0x…>)"],
                altered=["Unraisable exception in process …"],
                fork_warnings=1,
                complaints=["pytrace: captures/….pytrace: no room"],
                seconds=1.3,
            ),
        )

    def test_statuses(self):
        statuses = [of_texts(code, False, "", "", 0).status for code in (0, 3, -11, 7)]
        self.assertEqual(statuses, ["passed", "altered environment", "killed by signal 11", "exit status 7"])
        self.assertEqual(of_texts(1, True, "", "", 0).status, "hang")

    def test_a_report_that_was_cut_short_has_no_cases(self):
        self.assertFalse(of_texts(-9, False, REPORT[:90], "", 0).is_complete)
