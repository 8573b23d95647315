"""The word lists of `stopwords.txt`, English and Hindi."""

from importlib.resources import files


def _lists() -> dict[str, list[str]]:
    text = files("graphs.temporal").joinpath("stopwords.txt").read_text(encoding="utf-8")
    lists, name = dict[str, list[str]](), ""
    for line in text.splitlines():
        if line.startswith("["):
            name = line.strip("[]")
            lists[name] = []
        elif not line.startswith("#"):
            lists[name] += line.split()
    return lists


_LISTS = _lists()

STOPWORDS = frozenset(_LISTS["stop"])
FRAME = frozenset(_LISTS["frame"])
GENERAL = frozenset(_LISTS["general"])
REFERS = frozenset(_LISTS["refer"])
NUMBERS = {word: str(number) for number, word in enumerate(_LISTS["numbers"])}
