"""The programs that are measured, each with the arguments that make it run about a second untraced."""

from dataclasses import dataclass

from .setup import Unusable

# Loops of pyperformance's programs, chosen so that the untraced program takes 0.7 to 1.5 s.
PYPERFORMANCE = {
    "json_loads": (1500,),
    "deepcopy": (2000,),
    "raytrace": (4,),
    "chaos": (14,),
    "nbody": (14,),
    "comprehensions": (35000,),
    "async_tree": (1, "none"),
    "xml_etree": (2,),
    "richards": (26,),
    "regex_compile": (8,),
    "go": (8,),
}
STORM = "alloc storm"
DEEP = "64-deep storm"
START = "python -c pass"
STORMS = (STORM, DEEP)
QUICK = (*STORMS, "json_loads", "raytrace", "regex_compile")


@dataclass(frozen=True)
class Program:
    """What follows the interpreter on the command line, and what it is."""

    name: str
    arguments: tuple
    about: str


def programs(setup):
    """All programs by name, in the order of the tables; the start-up is not among them, it is repeated in its own way."""
    own = setup.programs
    all_programs = [
        Program(STORM, (own / "storm.py", 4_125_000, 0), "33 M small objects, each freed at once"),
        Program(DEEP, (own / "storm.py", 1_750_000, 64), "14 M small objects at the bottom of 64 Python frames"),
        Program("8 threads", (own / "exchange.py", 8, 2400), "19 M objects that another thread frees"),
        Program("10 M live", (own / "live.py", 10_000_000), "10 M objects that stay until the end"),
    ]
    for name, arguments in PYPERFORMANCE.items():
        folder = setup.pyperformance / f"bm_{name}"
        script = own / "pyperformance_program.py"
        all_programs.append(Program(name, (script, folder, *arguments), f"pyperformance's {name}"))
    return {program.name: program for program in all_programs}


def selected(by_name, names, what):
    """The entries that were asked for; all without a wish."""
    unknown = [name for name in names or [] if name not in by_name]
    if unknown:
        raise Unusable(f"no {what} {unknown[0]!r}; there are: {'; '.join(by_name)}")
    return [value for name, value in by_name.items() if not names or name in names]
