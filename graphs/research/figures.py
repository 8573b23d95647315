"""Figures and dates in a sentence, by rules: value, unit and year, in the spellings of English and of India."""

import re
from dataclasses import dataclass

from graphs.temporal.stopwords import STOPWORDS
from graphs.temporal.words import stem

_MONTH = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december|"
    r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY = re.compile(
    rf"\b(?:(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m>{_MONTH})\.?,?|"
    rf"(?P<m2>{_MONTH})\.?\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,?)\s+(?P<y>[12]\d{{3}})\b|"
    r"\b(?P<iso>[12]\d{3}-\d{2}-\d{2})\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?<![\d.,$€£₹-])(?<!rs )(?<!rs\. )[12]\d{3}(?![\d%]|[.,]\d)(?!-\d)", re.IGNORECASE)
SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "lakh": 1e5,
    "lakhs": 1e5,
    "million": 1e6,
    "millions": 1e6,
    "crore": 1e7,
    "crores": 1e7,
    "billion": 1e9,
    "billions": 1e9,
    "trillion": 1e12,
    "bn": 1e9,
    "mn": 1e6,
}
_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_NUMBER = re.compile(
    r"(?P<money>[$€£₹]|\b(?:rs\.?|inr|usd|eur)\s?)?\s?"
    rf"(?<![\w.])(?P<value>\d+(?:,\d{{2,3}})*(?:\.\d+)?|(?:{'|'.join(_SMALL[2:])})\b)"
    rf"(?:[\s-]?(?P<scale>{'|'.join(SCALES)})\b)?\s?(?P<unit>%|°\s?[cf]\b|[a-zµ]+(?:/[a-z]+|[²³])?)?",
    re.IGNORECASE,
)
_MONEY = {"$": "usd", "€": "eur", "£": "gbp", "₹": "inr", "rs": "inr", "rs.": "inr"}
# to the first of each dimension
_SPELLINGS = {
    "metre": {
        1.0: "m metre metres meter meters",
        1e3: "km kilometre kilometres kilometer kilometers",
        1e-2: "cm",
        1e-3: "mm",
    },
    "gram": {1.0: "g gram grams", 1e3: "kg kilogram kilograms", 1e6: "t tonne tonnes"},
    "watt": {1e3: "kw kilowatt kilowatts", 1e6: "mw megawatt megawatts", 1e9: "gw gigawatt gigawatts"},
    "%": {1.0: "% percent pc"},
    "usd": {1.0: "dollar dollars usd"},
    "inr": {1.0: "rupee rupees inr"},
    "eur": {1.0: "euro euros eur"},
    "people": {1.0: "people persons inhabitants residents"},
}
_UNITS = {
    word: (unit, factor)
    for unit, sizes in _SPELLINGS.items()
    for factor, spelled in sizes.items()
    for word in spelled.split()
}
_ATTRIBUTES = {"square", "cubic", "new", "small", "large", "big", "main", "different", "other", "more", "separate"}
_NEAR = 0.01
_CLAUSE = re.compile(r"[;,]\s|\b(?:and|but|while|whereas|against)\b", re.IGNORECASE)
_CLAUSE_COSTS = {"; ": 40, "while": 40, "whereas": 40, "but": 40}
"""Characters that a word or mark between a figure and a year counts for; the others count for 10."""


@dataclass(frozen=True)
class Figure:
    """`value` in the first unit of its dimension, told to the nearest `step`; `unit` is empty for a bare number.

    `at` is where it stands in the sentence.
    """

    value: float
    unit: str
    at: int
    text: str
    step: float = 1.0


def years(text: str) -> list[int]:
    """The years of a sentence, in order."""
    return [int(match[0]) for match in _YEAR.finditer(text)]


def dates(text: str) -> set[str]:
    """Whole dates, as ISO."""
    return {_iso(match) for match in _DAY.finditer(text)}


def _iso(match: re.Match[str]) -> str:
    if match["iso"]:
        return match["iso"]
    month = _MONTHS.index((match["m"] or match["m2"])[:3].lower()) + 1
    return f"{match['y']}-{month:02d}-{int(match['d'] or match['d2']):02d}"


def figures(text: str) -> list[Figure]:
    """The quantities of a sentence, without its dates."""
    bare = _blank(_YEAR, _blank(_DAY, text))
    found = list[Figure]()
    for match in _NUMBER.finditer(bare):
        word, scale = match["value"].lower(), SCALES.get((match["scale"] or "").lower(), 1.0)
        value = float(_SMALL.index(word)) if word in _SMALL else float(word.replace(",", ""))
        unit, factor, end = _unit(match, bare)
        # «from 3.1 million people to 3.4 million»
        unit = unit or (found[-1].unit if found and match["scale"] else "")
        step = 10.0 ** -len(word.partition(".")[2]) * scale * factor
        found.append(
            Figure(value * scale * factor, unit, match.start("value"), text[match.start() : end].strip(), step)
        )
    return found


def _unit(match: re.Match[str], text: str) -> tuple[str, float, int]:
    """The unit after a number, what it is times the first of its dimension, and where it ends."""
    end = match.end()
    if match["money"]:
        sign = match["money"].strip().lower()
        return _MONEY.get(sign, sign), 1.0, match.end("scale") if match["scale"] else match.end("value")
    word = (match["unit"] or "").lower().replace(" ", "")
    if word == "per" and (cent := re.match(r"\s?cent\b", text[end:], re.IGNORECASE)):
        return "%", 1.0, end + cent.end()
    prefix = ""
    if word in _ATTRIBUTES and (following := re.match(r"\s+([a-zµ]+)", text[end:], re.IGNORECASE)):
        prefix, word, end = (
            (f"{word} " if word in {"square", "cubic"} else ""),
            following[1].lower(),
            end + following.end(),
        )
    if word in {"st", "nd", "rd", "th", "am", "pm"} or word in STOPWORDS:
        return "", 1.0, match.end("scale") if match["scale"] else match.end("value")
    unit, factor = _UNITS.get(word, (stem(word), 1.0))
    power = {"square ": 2, "cubic ": 3}.get(prefix, 1)
    return prefix + unit, factor**power, end


def _blank(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: " " * len(match[0]), text)


def same_value(one: Figure, other: Figure) -> bool:
    """Equal as far as rounding goes: «about 3 million» is 3.04 million."""
    size = max(abs(one.value), abs(other.value))
    return abs(one.value - other.value) <= max(_NEAR * size, max(one.step, other.step) / 2)


def year_of(figure: Figure, text: str) -> int | None:
    """The year that a figure of a sentence belongs to: the only one there, or the one that stands nearest."""
    found = [(match.start(), int(match[0])) for match in _YEAR.finditer(text)]

    def distance(at: int) -> float:
        between = text[min(at, figure.at) : max(at, figure.at)]
        # «15 tonnes in 2015» belongs together, «in 2010 to 15 tonnes» does not
        told = at > figure.at and re.search(r"\b(?:in|by|during|for)\s$", between) is not None
        return len(between) * (0.3 if told else 1.0) + sum(
            _CLAUSE_COSTS.get(each.lower(), 10) for each in _CLAUSE.findall(between)
        )

    return min(found, key=lambda each: distance(each[0]))[1] if found else None
