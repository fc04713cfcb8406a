"""CPython's own regression suite, bare and under the preload: whatever differs was done by pytrace.

`command_line` is what `scripts/regrtest` runs. `selection` says which test files there are, `run` runs one of them once,
`outcome` is what came of it, `compare` says how two differ, `suite` runs a list and repeats what differs, `exemptions` reads
what is known to differ, `store` keeps results for --resume, `document` writes docs/RELIABILITY.md.
"""
