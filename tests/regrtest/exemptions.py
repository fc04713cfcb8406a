"""What is known to differ under any preload of this kind, each with its reason: exemptions.toml."""

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

PATH = Path(__file__).with_name("exemptions.toml")
MOST = 10  # more would be a list of defects


class Malformed(Exception):
    """exemptions.toml is not what it should be."""


@dataclass(frozen=True)
class Exemption:
    """`subject` is a pattern for a difference's subject; `versions` are `3.11` and the like, none for all; `what` are patterns for
    what differs.
    """

    subject: str
    reason: str
    versions: tuple = ()
    what: tuple = ("*",)

    def covers(self, difference, version):
        is_version = not self.versions or version in self.versions
        is_what = any(fnmatchcase(difference.what, pattern) for pattern in self.what)
        return is_version and is_what and fnmatchcase(difference.subject, self.subject)


def parse(text):
    """All exemptions of a file's text."""
    try:
        entries = tomllib.loads(text).get("exempt", [])
        found = [
            Exemption(
                entry["subject"], entry["reason"], tuple(entry.get("versions", ())), tuple(entry.get("what", ("*",)))
            )
            for entry in entries
        ]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise Malformed(f"{PATH.name}: {error!r}") from None
    if len(found) > MOST:
        raise Malformed(f"{PATH.name}: {len(found)} exemptions, {MOST} are the most")
    if any(len(exemption.reason.split()) < 5 for exemption in found):
        raise Malformed(f"{PATH.name}: an exemption without a reason")
    return found


def read():
    return parse(PATH.read_text())


def split(found, exemptions, version):
    """The differences that count, and those that are exempt."""
    exempt = [each for each in found if any(exemption.covers(each, version) for exemption in exemptions)]
    return [each for each in found if each not in exempt], exempt
