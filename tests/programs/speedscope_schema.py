"""Holds files for speedscope against its own schema, and the schema against files that are spoilt on purpose.

Arguments: the schema, and files that `pytrace report --format speedscope` wrote.
"""

import copy
import json
import pathlib
import sys

import jsonschema

schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
Validator = jsonschema.validators.validator_for(schema)
Validator.check_schema(schema)
validator = Validator(schema)


def without(name, *path):
    def spoil(document):
        for step in path:
            document = document[step]
        del document[name]

    return spoil


def other(value, *path):
    def spoil(document):
        *path_of_parent, name = path
        for step in path_of_parent:
            document = document[step]
        document[name] = value

    return spoil


# One for each thing that the export has to keep to. The first file is spoilt in every way: none may pass.
SPOILERS = {
    "another schema's name": other("https://example.com", "$schema"),
    "no profiles": without("profiles"),
    "no frames": without("frames", "shared"),
    "a frame without a name": lambda document: document["shared"]["frames"].append({"file": "a.py"}),
    "a line that is a text": lambda document: document["shared"]["frames"].append({"name": "f", "line": "7"}),
    "no weights": without("weights", "profiles", 0),
    "no end": without("endValue", "profiles", 0),
    "a unit that speedscope does not know": other("blocks", "profiles", 0, "unit"),
    "another kind of profile": other("counted", "profiles", 0, "type"),
    "samples that are no stacks": other([0], "profiles", 0, "samples"),
    "weights that are texts": other(["1"], "profiles", 0, "weights"),
}

paths = list(map(pathlib.Path, sys.argv[2:]))
for path in paths:
    document = json.loads(path.read_text())
    for error in validator.iter_errors(document):
        raise SystemExit(f"{path.name}: {error.json_path}: {error.message}")
    # What the schema cannot say: every sample has a weight, and names frames that are there.
    (profile,) = document["profiles"]
    frames = range(len(document["shared"]["frames"]))
    if len(profile["samples"]) != len(profile["weights"]):
        raise SystemExit(f"{path.name}: not as many weights as samples")
    if not all(sample and all(number in frames for number in sample) for sample in profile["samples"]):
        raise SystemExit(f"{path.name}: a sample of no frame, or of one that is not there")
    print(path.name, len(profile["samples"]), len(frames))

sound = json.loads(paths[0].read_text())
for what, spoil in SPOILERS.items():
    spoilt = copy.deepcopy(sound)
    spoil(spoilt)
    if validator.is_valid(spoilt):
        raise SystemExit(f"a file with {what} passes the schema")
