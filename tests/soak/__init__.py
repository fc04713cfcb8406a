"""The long tests, in full: what each part is (`parts`), running one and keeping its result (`run`), the table in
docs/RELIABILITY.md (`document`).

A part is a test of the integration binary with PYTRACE_SOAK=full, or a command of its own. Its result is a file in
target/soak/, so that a soak can be continued part by part.
"""
