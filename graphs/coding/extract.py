"""The code in what a model said: out of fences, without the talk, with what the request's own code already gives."""

import re

from graphs.coding import pythonic
from graphs.coding.languages import TONGUES, canonical
from tools.sandbox.languages import Language

_FENCED = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_BEGINS = re.compile(
    r"^(?:def |class |async def |import |from \w|@|#include|public |package |func |function |const |let |var |export "
    r"|using |template|#!)",
    re.MULTILINE,
)


def blocks(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a text: the language that they name, and their code. An unclosed one counts."""
    return [(match[2].lower(), match[3]) for match in _FENCED.finditer(text)]


def code_of(text: str, language: Language, header: str = "", entry: str = "") -> str:
    """The code that a model's answer holds, completed with the request's own; empty when there is none."""
    chosen = _chosen(text, language, entry)
    if not chosen.strip():
        return ""
    chosen = chosen.strip("\n").replace("\t", "    ") if language == "python" else chosen.strip("\n")
    if language != "python":
        return chosen.rstrip() + "\n"
    chosen = pythonic.completed(_whole(chosen), header, entry)
    return pythonic.without_tries(chosen, entry).strip("\n") + "\n"


def _chosen(text: str, language: Language, entry: str) -> str:
    found = blocks(text)
    named = [code for name, code in found if canonical(name) == language] or [code for _, code in found]
    if named:
        with_entry = [code for code in named if entry and re.search(rf"\b{re.escape(entry)}\b\s*[(:=]", code)]
        return max(with_entry or named, key=len)
    begin = _BEGINS.search(text)
    if begin is None:
        return text if language == "python" and pythonic.defined(text) else ""
    rest = text[begin.start() :]
    return rest if language != "python" else _until_prose(rest)


def _until_prose(text: str) -> str:
    """As much of a text from its beginning as is Python."""
    lines = text.splitlines()
    while lines and pythonic.parsed("\n".join(lines)) is None:
        lines.pop()
    return "\n".join(lines)


def _whole(code: str) -> str:
    """Code that was cut off, without its unfinished last statements."""
    if pythonic.parsed(code) is not None:
        return code
    lines = code.splitlines()
    for end in range(len(lines) - 1, max(len(lines) - 40, 0), -1):
        shorter = "\n".join(lines[:end])
        if pythonic.parsed(shorter) is not None and pythonic.defined(shorter):
            return shorter
    return code


def fenced(code: str, language: Language) -> str:
    """The code in a fence that is longer than any inside it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    name = "bash" if language == "shell" else TONGUES[language].title.lower().replace("c++", "cpp")
    return f"{fence}{name}\n{code.rstrip()}\n{fence}"
