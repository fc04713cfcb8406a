"""Allocates under hostile names: of functions, files, marks and libraries. Its argument: a library made of nameless.c."""

import ctypes
import os
import shutil
import sys

ESCAPE = "\x1b"
PAYLOADS = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *map(chr, range(0x200B, 0x2010)),
    *map(chr, range(0x2028, 0x202F)),
    *map(chr, range(0x2060, 0x2070)),
    "\xad",
    "\u034f",
    "\u061c",
    "\u180e",
    "\u3164",
    "\ufe0f",
    "\ufeff",
    "\ufff9",
    "\uffff",
    "\ud800",
    "\udc9b31m",
    "\udcff\udcfe",
    "\U000e0041",
    "\U0010ffff",
    ESCAPE + "[31;1mred",
    ESCAPE + "[2J" + ESCAPE + "[1;1Hat the top",
    ESCAPE + "]0;title\x07",
    ESCAPE + "]8;;https://example.com" + ESCAPE + "\\link",
    ESCAPE + "]52;c;cm0gLXJm\x07",
    ESCAPE + "P1$r" + ESCAPE + "\\",
    ESCAPE + "c",
    "\x9b31m",
    "\x9d0;title\x9c",
    "\r\npytrace: all is well\r\n",
    "</script><script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>",
    "=cmd|'/c calc'!A1",
    "a;b c\\d%s%n{}",
    "e\u0301\u0301\u0301",
    "long" * 2000,
]

kept = []
for number, payload in enumerate(PAYLOADS):
    code = compile("def allocate():\n    return [bytes(50_000)]\nkept.append(allocate())", "file.py", "exec")
    named = [part.replace(co_name=f"in {payload} {number}") for part in code.co_consts if hasattr(part, "co_name")]
    if sys.version_info >= (3, 11):
        named = [part.replace(co_qualname=part.co_name) for part in named]
    named = [part.replace(co_filename=f"/of {payload} {number}.py") for part in named]
    constants = tuple(named.pop() if hasattr(part, "co_name") else part for part in code.co_consts)
    exec(code.replace(co_consts=constants, co_name=f"at {payload}", co_filename=f"/from {payload} {number}.py"))

mark = ctypes.CDLL(None).pytrace_mark
for payload in PAYLOADS:
    mark(payload.encode("utf-8", "surrogateescape" if payload != "\ud800" else "surrogatepass"))

for number, payload in enumerate(PAYLOADS):
    if "/" in payload or "\0" in payload or payload == "\ud800" or len(payload) > 200:
        continue
    copy = os.path.abspath(f"lib {payload} {number}.so")
    shutil.copy(sys.argv[1], copy)
    kept.append(ctypes.CDLL(copy).allocate(60_000))
