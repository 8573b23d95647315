"""Observations as sentences, by rules. They say what was seen or heard and no more."""

from collections.abc import Sequence

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_IRREGULAR = {"person": "people", "mouse": "mice", "knife": "knives", "sheep": "sheep", "scissors": "scissors"}
_PLURAL_ONLY = frozenset({"scissors", "skis"})
_QUOTED = 240
"""Letters of one quotation; a longer one ends between words."""


def number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)


def plural(name: str) -> str:
    first, _, last = name.rpartition(" ")
    ending = _IRREGULAR.get(last) or (f"{last}es" if last.endswith(("s", "ch", "sh", "x")) else f"{last}s")
    return f"{first} {ending}".strip()


def one(name: str) -> str:
    if name in _PLURAL_ONLY:
        return name
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def counted(name: str, count: int, *, exact: bool = False) -> str:
    """`a cup`, `at least two cups`: a detector that found two may have missed a third."""
    if count == 1:
        return one(name)
    return f"{number(count)} {plural(name)}" if exact else f"at least {number(count)} {plural(name)}"


def listed(items: Sequence[str]) -> str:
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def in_view(items: Sequence[str], *, many: bool) -> str:
    return sentence(f"{listed(items)} {'are' if many else 'is'} in view")


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?', '…', '”')) else '.'}"


def quoted(text: str) -> str:
    """Somebody's words between quotation marks, cut between words where they are many."""
    plain = " ".join(text.split()).replace("“", "'").replace("”", "'").replace('"', "'")
    if len(plain) > _QUOTED:
        plain = f"{plain[:_QUOTED].rsplit(' ', 1)[0]} …"
    return f"“{plain}”"


def seconds(value: float) -> str:
    """A length as people say it: `16.6 s`, `12 min 5 s`, `1 h 3 min`."""
    if value < 60:
        return f"{value:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
