"""Whether two claims agree or cannot both hold, by rules: figures, dates, negation, opposites and names."""

import re
from collections import Counter
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from graphs.research.figures import SCALES, Figure, dates, figures, same_value, year_of, years
from graphs.temporal.stopwords import STOPWORDS
from graphs.temporal.words import content, stem

Relation = Literal["agree", "contradict", "unsure", "unrelated"]

RELATED = 0.5
"""Share of the shorter claim's words that two claims about one thing have in common."""

SAME_SUBJECT = 0.65
SAME_SAYING = 0.7

_DENIAL = re.compile(r"\b(?:not|no|never|none|neither|nor|without|cannot|fail(?:s|ed)? to|\w+n['’]t)\b", re.IGNORECASE)
_OPPOSITES = (
    (
        "rise rose risen increase increased grow grew grown climb climbed gain gained expand expanded more higher",
        "fall fell fallen decrease decreased shrink shrank drop dropped decline declined reduced less fewer lower",
    ),
    ("open opened reopen reopened", "close closed shut"),
    ("begin began start started", "end ended stop stopped"),
    (
        "approve approved accept accepted allow allowed legal permit permitted",
        "reject rejected refuse refused ban banned",
    ),
    ("win won succeed succeeded success", "lose lost fail failed failure"),
    ("safe harmless", "dangerous unsafe harmful toxic"),
    ("before", "after"),
    ("first earliest oldest", "last latest newest"),
    ("north northern", "south southern"),
    ("east eastern", "west western"),
    ("largest biggest highest longest", "smallest lowest shortest"),
    ("true confirmed proven", "false denied disproved refuted"),
    ("public", "private"),
    ("profit profits profitable", "loss losses unprofitable"),
)
_SIDES = {
    word: (number, side)
    for number, pair in enumerate(_OPPOSITES)
    for side, group in enumerate(pair)
    for word in group.split()
}
_NAME = re.compile(r"(?<![\w'’])[A-Z][\w'’]*(?:[-\s](?:of\s|the\s|de\s|van\s)?[A-Z][\w'’]*)*")
_LEADING = re.compile(r"^(?:The|A|An|In|On|At|By|It|Its|This|That|He|She|They|According)\b\s*")


_UNTELLING = frozenset(stem(word) for word in (*_SIDES, *SCALES))
_MEASURES = {
    *("metre", "square metre", "cubic metre", "gram", "watt", "%", "usd", "inr", "eur", "gbp", "people"),
    *(stem(each) for each in ("years", "months", "weeks", "days", "hours", "minutes", "seconds", "degrees")),
}
"""Units that say nothing of what is counted, unlike «18 segments»."""


@dataclass(frozen=True)
class Compared:
    relation: Relation
    reason: str = ""


@dataclass(frozen=True)
class Said:
    """What the rules see in a claim: stems of what it is about, and what it says of that."""

    text: str
    words: frozenset[str]
    figures: tuple[Figure, ...]
    years: frozenset[int]
    dates: frozenset[str]
    denies: bool
    sides: frozenset[tuple[int, int]]
    names: frozenset[str]


@lru_cache(maxsize=4_096)
def said(quote: str, about: str = "") -> Said:
    """Reads a claim; `about` says what it is about where it only has a pronoun for that."""
    whole, bare = f"{about} {quote}".strip(), [w.lower() for w in re.findall(r"[\w-]+", quote)]
    sides = frozenset(_SIDES[word] for word in bare if word in _SIDES)
    counted, told = tuple(figures(quote)), frozenset(years(quote))
    units = {part for each in counted if each.unit in _MEASURES for part in each.unit.split()}
    about_words = {each for each in content(whole) if not each[0].isdigit() and each not in units | _UNTELLING}
    names = frozenset(_name(match[0]) for match in _NAME.finditer(whole)) - {""}
    return Said(
        whole, frozenset(about_words), counted, told, frozenset(dates(quote)), bool(_DENIAL.search(quote)), sides, names
    )


def _name(found: str) -> str:
    name = _LEADING.sub("", found).lower().strip()
    return "" if name in STOPWORDS else name


def shared(one: Collection[str], other: Collection[str]) -> float:
    """The share of the smaller set's words that the other has too, longer words weighing more, 0..1."""
    small, large = sorted((set(one), set(other)), key=len)
    if not small:
        return 0.0
    common = sum(min(len(each), 8) for each in small if each in large)
    return common / sum(min(len(each), 8) for each in small)


def common_words(claims: Sequence[Said], topic: str) -> frozenset[str]:
    """The topic's stems that half of the claims have: they do not tell one of its facts from another."""
    counted, named = Counter(word for each in claims for word in each.words), set(content(topic))
    return frozenset(word for word, count in counted.items() if word in named and count >= max(len(claims) / 2, 3))


def nearness(one: Said, other: Said, common: Set[str] = frozenset()) -> float:
    """How far two claims are about one thing, 0..1, by the words that are not the whole topic's."""
    mine, theirs = one.words - common, other.words - common
    if not mine or not theirs:
        return 0.0
    return shared(mine, theirs) if len(one.words & other.words) >= 2 else 0.0


def compare(one: Said, other: Said, common: Set[str] = frozenset()) -> Compared:
    """What two claims are to each other; `unsure` where the words are too few to tell."""
    near = nearness(one, other, common)
    if near < RELATED:
        return Compared("unrelated")
    for rule in (_by_figures, _by_dates, _by_denial, _by_opposites, _by_names):
        found = rule(one, other, near)
        if found is not None:
            return found
    if one.years and one.years == other.years:
        return Compared("agree")
    if one.figures or other.figures or one.years != other.years:
        # two facts of one thing: what only one of them tells the other does not confirm
        return Compared("unrelated")
    both = min(len(one.words), len(other.words)) / max(len(one.words), len(other.words), 1)
    if near >= SAME_SAYING and both >= 0.5:
        return Compared("agree")
    return Compared("unsure" if near >= SAME_SUBJECT else "unrelated")


def _by_figures(one: Said, other: Said, near: float) -> Compared | None:
    """Figures with the same unit, of the same year where both tell one."""
    differ, same = list[tuple[Figure, Figure]](), 0
    for figure in one.figures:
        peers = [each for each in other.figures if each.unit == figure.unit]
        if not peers or (not figure.unit and near < SAME_SAYING):
            continue
        year = year_of(figure, one.text)
        timely = [each for each in peers if _same_time(year, year_of(each, other.text))]
        if not timely:
            continue
        if any(same_value(figure, each) for each in timely):
            same += 1
        else:
            differ.append((figure, timely[0]))
    if differ:
        mine, theirs = differ[0]
        return Compared("contradict", f"figures differ: {mine.text} against {theirs.text}")
    if same:
        return Compared("agree")
    return None


def _same_time(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other


def _apart(one: Said, other: Said) -> bool:
    return bool(one.years) and bool(other.years) and not one.years & other.years


def _by_dates(one: Said, other: Said, near: float) -> Compared | None:
    if one.dates and other.dates and near >= SAME_SUBJECT:
        if one.dates & other.dates:
            return Compared("agree")
        return Compared("contradict", f"dates differ: {min(one.dates)} against {min(other.dates)}")
    if _apart(one, other):
        # figures of two years are a development, and opposites may both have happened
        if near < SAME_SUBJECT or one.sides != other.sides or (one.figures and other.figures):
            return Compared("unrelated")
        return Compared("contradict", f"dates differ: {min(one.years)} against {min(other.years)}")
    return None


def _by_denial(one: Said, other: Said, near: float) -> Compared | None:
    if one.denies != other.denies and near >= SAME_SUBJECT:
        return Compared("contradict", "one says that it is not so")
    return None


def _by_opposites(one: Said, other: Said, near: float) -> Compared | None:
    for topic, side in sorted(one.sides):
        if (topic, 1 - side) in other.sides and (topic, side) not in other.sides and (topic, 1 - side) not in one.sides:
            return Compared("contradict", "they say opposite things")
    return None


def _by_names(one: Said, other: Said, near: float) -> Compared | None:
    """The same sentence with another name in one place, when they share the name of what they are about."""
    mine, theirs = _only(one, other), _only(other, one)
    if len(mine) != 1 or len(theirs) != 1 or not one.names & other.names:
        return None
    (first,), (second,) = mine, theirs
    parts = {stem(each) for each in re.findall(r"\w+", f"{first} {second}")}
    rest_one, rest_other = one.words - parts, other.words - parts
    alike = len(rest_one & rest_other) / max(len(rest_one | rest_other), 1)
    if alike >= SAME_SAYING and len(rest_one & rest_other) >= 2:
        return Compared("contradict", f"names differ: {first.title()} against {second.title()}")
    return None


def _only(one: Said, other: Said) -> list[str]:
    """Names of one claim that the other has no part of."""
    known = {word for name in other.names for word in name.split()} | set(re.findall(r"\w+", other.text.lower()))
    return [name for name in one.names if not set(name.split()) & known]
