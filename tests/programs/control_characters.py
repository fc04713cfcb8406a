"""Allocates most of its memory in code whose names hold control characters."""

name = "evil\x1b[31m\x07\u202e\n.py"
code = compile("def nasty():\n    return [bytes(100_000) for _ in range(50)]\nkept = nasty()", name, "exec")
code = code.replace(co_name="\x1b]0;title\x07")
exec(code)
