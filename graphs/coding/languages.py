"""The languages that the agent works in: their names, files and signs by which a request is known to mean one."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from tools.sandbox.languages import Language

_ALIASES: dict[str, Language] = {
    "py": "python",
    "python3": "python",
    "js": "javascript",
    "node": "javascript",
    "nodejs": "javascript",
    "node.js": "javascript",
    "ts": "typescript",
    "c++": "cpp",
    "cxx": "cpp",
    "cplusplus": "cpp",
    "golang": "go",
    "bash": "shell",
    "sh": "shell",
}


@dataclass(frozen=True)
class Tongue:
    """One language. `grammar` is ast-grep's name of it; `names` mean it in a request, `signs` in code."""

    title: str
    file: str
    endings: tuple[str, ...]
    grammar: str
    comment: str
    names: str
    signs: str


# the more particular language first: of two with as many signs the first one wins
TONGUES: dict[Language, Tongue] = {
    "typescript": Tongue(
        title="TypeScript",
        file="solution.ts",
        endings=(".ts", ".tsx"),
        grammar="typescript",
        comment="//",
        names=r"\btypescript\b",
        signs=r"\binterface \w+ \{|: (?:string|number|boolean)\b[\[\],);= ]",
    ),
    "javascript": Tongue(
        title="JavaScript",
        file="solution.js",
        endings=(".js", ".mjs", ".cjs", ".jsx"),
        grammar="javascript",
        comment="//",
        names=r"\bjavascript\b|\bnode(?:\.?js)?\b|\breact\b",
        signs=r"\bfunction \w+\(|\b(?:const|let) \w+ =|=> \{|console\.log",
    ),
    "java": Tongue(
        title="Java",
        file="Solution.java",
        endings=(".java",),
        grammar="java",
        comment="//",
        names=r"\bjava\b|\bspring boot\b",
        signs=r"\bpublic (?:static|class|interface)\b|System\.out|\bString\[\] \w+",
    ),
    "cpp": Tongue(
        title="C++",
        file="solution.cpp",
        endings=(".cpp", ".cc", ".cxx", ".hpp", ".h"),
        grammar="cpp",
        comment="//",
        names=r"(?<![\w+])c\+\+(?![\w+])|\bcpp\b",
        signs=r"#include\s*<|\bstd::|\bint main\(",
    ),
    "go": Tongue(
        title="Go",
        file="solution.go",
        endings=(".go",),
        grammar="go",
        comment="//",
        names=r"\bgolang\b|\bin go\b|\bgo (?:function|program|code)\b",
        signs=r"^package \w+$|^func \w+\(|:= ",
    ),
    "shell": Tongue(
        title="shell",
        file="solution.sh",
        endings=(".sh", ".bash"),
        grammar="bash",
        comment="#",
        names=r"\bbash\b|\bshell script\b|\bposix sh\b",
        signs=r"^#!.*\b(?:ba)?sh\b|^\s*(?:fi|done|esac)$",
    ),
    "python": Tongue(
        title="Python",
        file="solution.py",
        endings=(".py",),
        grammar="python",
        comment="#",
        names=r"\bpython\b|\bdjango\b|\bflask\b|\bfastapi\b|\bpandas\b|\bpytest\b",
        signs=r"^\s*def \w+\(|^\s*>>> |^from \w+ import|^import \w+$",
    ),
}


def canonical(value: object) -> object:
    """A language under any of its names, as we call it; anything else as it is."""
    if not isinstance(value, str):
        return value
    name = value.strip().lower()
    return _ALIASES.get(name, name)


def guess_language(text: str, code: str = "") -> Language:
    """The language that a request means: by the signs in its code, by its name in the text, else Python."""
    for kind, material in (("signs", code), ("names", text), ("signs", text)):
        scores = {
            name: len(re.findall(getattr(tongue, kind), material, re.MULTILINE | re.IGNORECASE))
            for name, tongue in TONGUES.items()
        }
        best = max(scores, key=lambda name: scores[name])
        if scores[best]:
            return best
    return "python"


def language_of_file(path: str) -> Language | None:
    """By the file's ending."""
    ending = PurePosixPath(path).suffix.lower()
    return next((name for name, tongue in TONGUES.items() if ending in tongue.endings), None)
