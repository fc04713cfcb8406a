"""The benchmark suite behind `scripts/bench`: what tracing costs, beside what others cost, in one interleaved run.

The way of a number: `catalogue` names programs, `configurations` says how each is started, `measure` runs one process through
`programs/launch.py`, `suite` runs all of them in rounds, `ratios` makes medians and ratios, `bars` judges them,
`tables` draws, `document` replaces the generated parts of docs/BENCHMARKS.md. `instructions` and `scaling` have tables
of their own. Every ratio compares a process with the untraced one of the same round, so a slow hour of the machine hits both.
"""
