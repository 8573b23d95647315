"""The word lists of `cues.txt` as patterns."""

import re
from functools import cache
from importlib.resources import files

_WORD = r"[\w\u0900-\u0dff]"


@cache
def _lists() -> dict[str, list[str]]:
    text = files("graphs.router").joinpath("cues.txt").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    sections = re.split(r"^\[(\w+)\]$", kept, flags=re.MULTILINE)[1:]
    bodies = zip(sections[::2], sections[1::2], strict=True)
    return {name: [each.strip() for each in body.split(",") if each.strip()] for name, body in bodies}


@cache
def cue(*kinds: str) -> re.Pattern[str]:
    """Any entry of these lists as a whole word, the longest first."""
    entries = sorted({entry for kind in kinds for entry in _lists()[kind]}, key=lambda each: -len(each))
    shapes = "|".join(re.escape(each) + ("s?" if each.isascii() and each[-1].isalpha() else "") for each in entries)
    # C is not the beginning of C++ and C#
    return re.compile(rf"(?<!{_WORD})(?:{shapes})(?!{_WORD}|[+#])", re.IGNORECASE)
