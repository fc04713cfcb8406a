"""Tests of the comparison: python3 -m unittest discover -s tests/regrtest/tests -t ."""
