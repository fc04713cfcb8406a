"""Tests of what computes and draws; nothing is measured here. `python3 -m unittest discover -s benchmarks/tests -t .`"""
