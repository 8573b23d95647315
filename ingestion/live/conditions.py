"""Conditions in words, such as «more than 3 people» or «no motion for 10 seconds», read by rules.

A rule must understand all of a condition: of «a person with a red hat» no part is taken for the whole. What no rule
understands is a question for a vision-language model.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from tools.errors import InvalidInput
from tools.vision.coco import LABELS

LONGEST = 200
FACE = "face"

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_UNITS = {"s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
_SAME = {
    **dict.fromkeys(("people", "human", "somebody", "someone", "anybody", "anyone", "pedestrian"), "person"),
    **dict.fromkeys(("bike", "cycle"), "bicycle"),
    **dict.fromkeys(("motorbike", "scooter"), "motorcycle"),
    **dict.fromkeys(("plane", "aeroplane", "aircraft"), "airplane"),
    **dict.fromkeys(("phone", "mobile", "mobile phone", "cellphone", "smartphone"), "cell phone"),
    "television": "tv",
    "sofa": "couch",
    "mice": "mouse",
    "lorry": "truck",
}
_GROUPS = {
    "vehicle": ("bicycle", "car", "motorcycle", "bus", "train", "truck"),
    "animal": ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
}
_SOMEBODY = r"(?:somebody|someone|anybody|anyone|a person|people|they)"
_WHERE = r"(?:the )?(?:view|picture|frame|image|scene|room|screen)"
_PLACE = rf"(?: (?:(?:in|into|on) )?{_WHERE})?"
_THERE = rf"(?: (?:is|are))?(?: (?:there|seen|visible|to be seen|present|shown|detected))?{_PLACE}"


@dataclass(frozen=True)
class Count:
    """So many things with one of these labels are in view at once."""

    labels: frozenset[str]
    least: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Crossing:
    """One more thing with one of these labels is in view than before, or one less."""

    labels: frozenset[str]
    arrives: bool


@dataclass(frozen=True)
class Written:
    """This text is to be read; any text when it is empty."""

    text: str


@dataclass(frozen=True)
class Light:
    dark: bool


@dataclass(frozen=True)
class Motion:
    moving: bool


@dataclass(frozen=True)
class Cut:
    """Another scene is shown."""


@dataclass(frozen=True)
class Spoken:
    """These words are said; any words when it is empty."""

    text: str


@dataclass(frozen=True)
class Asked:
    """What only a model that sees can tell."""

    question: str


Test = Count | Crossing | Written | Light | Motion | Cut | Spoken | Asked
Sense = Literal["objects", "faces", "text", "sound", "model", "frame"]


@dataclass(frozen=True)
class Condition:
    """`words` are the user's; `means` says how they were understood. It must hold for so many `seconds`, and with
    `becomes` it must not have held from the beginning."""

    words: str
    means: str
    test: Test
    seconds: float = 0.0
    becomes: bool = False

    @property
    def sense(self) -> Sense:
        """What must look or listen for it."""
        match self.test:
            case Count(labels=labels) | Crossing(labels=labels):
                return "faces" if FACE in labels else "objects"
            case Written():
                return "text"
            case Spoken():
                return "sound"
            case Asked():
                return "model"
        return "frame"


def read(words: str) -> Condition:
    """A condition in words. One that no rule understands is `Asked`; raises `InvalidInput` for an empty or long one."""
    bare = " ".join(words.split()).rstrip(".! ")
    if not bare or len(bare) > LONGEST:
        raise InvalidInput(
            f"{words[:80]!r} is no condition.", remedy=f"Write 1 to {LONGEST} characters, such as «a person enters»."
        )
    plain, seconds = _lasting(_ASKING.sub("", bare))
    for rule in _RULES:
        found = rule(plain)
        if found is not None and not (seconds and isinstance(found.test, Crossing | Spoken | Cut)):
            lasting = f", for {seconds:g} s" if seconds else ""
            return replace(found, words=words, means=f"{found.means}{lasting}", seconds=seconds)
    return Condition(words, f"a model that sees is asked: {bare}?", Asked(bare))


_ASKING = re.compile(r"^(?:(?:alert|tell) me )?(?:when|if) ", re.IGNORECASE)
_LASTING = re.compile(
    r"^(.+?),? for (?:more than |at least |over )?"
    rf"(\d+(?:\.\d+)?|{'|'.join(_NUMBERS[1:])}|a|an)[ ]?({'|'.join(_UNITS)})s?$",
    re.IGNORECASE,
)


def _lasting(words: str) -> tuple[str, float]:
    """The condition without «for 10 seconds», and how long that is."""
    found = _LASTING.match(words)
    if found is None:
        return words, 0.0
    return found[1], _number(found[2]) * _UNITS[found[3].lower()]


def _number(word: str) -> float:
    word = word.lower()
    return 1.0 if word in ("a", "an") else float(_NUMBERS.index(word) if word in _NUMBERS else word)


def _matches(words: str, *patterns: str) -> re.Match[str] | None:
    return next((found for each in patterns if (found := re.fullmatch(each, words, re.IGNORECASE))), None)


def _unquoted(text: str) -> str:
    return text.strip(" \"'«»“”‘’")


def _written(words: str) -> Condition | None:
    if _matches(words, rf"(?:(?:any|some) )?text(?: appears?)?{_THERE}"):
        return Condition("", "any text can be read", Written(""))
    found = _matches(
        words,
        r"(?:the )?(?:text|words?|letters|sign) (.+?)"
        rf"(?: appears?| can be read|(?: (?:is|are) (?:shown|seen|visible))){_PLACE}",
        r"(?:the |a |any )?(?:sign|screen|text|slide|banner) (?:says?|reads?|shows?) (.+)",
    )
    text = _unquoted(found[1]) if found else ""
    return Condition("", f"the text «{text}» can be read", Written(text)) if text else None


def _spoken(words: str) -> Condition | None:
    if _matches(words, rf"{_SOMEBODY} (?:speaks?|talks?|is speaking|is talking)", r"(?:there is )?speech"):
        return Condition("", "anything is said", Spoken(""))
    found = _matches(
        words,
        rf"{_SOMEBODY} (?:says?|shouts?|mentions?|calls|yells?|is saying)(?: the words?)? (.+)",
        r"(?:the words? )?(.+?) (?:is|are|was) (?:said|spoken|heard|mentioned|shouted)",
    )
    text = _unquoted(found[1]) if found else ""
    return Condition("", f"«{text}» is said", Spoken(text)) if text else None


def _light(words: str) -> Condition | None:
    found = _matches(
        words, r"(?:it|the picture|the room) (gets|becomes|turns|goes|is|grows) (?:too )?(dark|bright|light)"
    )
    if found:
        dark, becomes = found[2].lower() == "dark", found[1].lower() != "is"
    elif found := _matches(
        words, r"(?:the |all )?lights? (?:go|goes|are|is|turns?)(?: switched| turned)? (out|off|on)"
    ):
        dark, becomes = found[1].lower() != "on", True
    else:
        return None
    name = "dark" if dark else "bright"
    return Condition("", f"the picture {'becomes' if becomes else 'is'} {name}", Light(dark), becomes=becomes)


def _motion(words: str) -> Condition | None:
    if _matches(words, r"(?:there is )?no (?:motion|movement)", r"nothing (?:moves|is moving)", r"everything is still"):
        return Condition("", "nothing moves", Motion(moving=False))
    if _matches(
        words, r"(?:there is )?(?:any |some )?(?:motion|movement)", r"(?:something|anything) (?:moves|is moving)"
    ):
        return Condition("", "something moves", Motion(moving=True))
    return None


def _cut(words: str) -> Condition | None:
    if _matches(
        words, r"(?:the )?(?:scene|view|shot) changes", r"a (?:new|different) (?:scene|shot)(?: begins)?", r"a cut"
    ):
        return Condition("", "another scene is shown", Cut())
    return None


def _crossing(words: str) -> Condition | None:
    found = _matches(
        words,
        r"(.+?) (enters?|comes? in|arrives?|appears?|walks? in|shows? up|"
        rf"leaves?|goes away|goes out|disappears?|exits?){_PLACE}",
    )
    counted = _quantity(found[1]) if found else None
    if found is None or counted is None or (counted.least, counted.most) != (1, None):
        return None
    arrives = not re.match(r"leave|goes|disappear|exit", found[2], re.IGNORECASE)
    who = _named(counted.labels)
    return Condition("", f"{who}: one {'more' if arrives else 'less'} than before", Crossing(counted.labels, arrives))


def _count(words: str) -> Condition | None:
    found = _matches(words, rf"(?:there (?:is|are) )?(.+?){_THERE}")
    test = _quantity(found[1]) if found else None
    if test is None:
        return None
    if test.most is None:
        how = f"at least {test.least}"
    else:
        how = f"exactly {test.most}" if test.least == test.most else f"at most {test.most}"
    return Condition("", f"{_named(test.labels)}: {how}", test)


_RULES: tuple[Callable[[str], Condition | None], ...] = (
    _written,
    _spoken,
    _light,
    _motion,
    _cut,
    _crossing,
    _count,
)

_HOW_MANY = rf"(\d+|{'|'.join(_NUMBERS[1:])})"


def _quantity(words: str) -> Count | None:
    """«more than three dogs», «no people», «a cat», «nobody»."""
    if _matches(words, r"nobody|no ?one"):
        return Count(frozenset({"person"}), 0, 0)
    # the bounds around the number that is named
    forms: tuple[tuple[str, Callable[[int], tuple[int, int | None]]], ...] = (
        (rf"(?:more than|over) {_HOW_MANY} (.+)", lambda n: (n + 1, None)),
        (rf"(?:at least|a minimum of) {_HOW_MANY} (.+)", lambda n: (n, None)),
        (rf"{_HOW_MANY} or more (.+)", lambda n: (n, None)),
        (rf"(?:fewer|less) than {_HOW_MANY} (.+)", lambda n: (0, n - 1)),
        (rf"(?:at most|no more than|up to) {_HOW_MANY} (.+)", lambda n: (0, n)),
        (rf"exactly {_HOW_MANY} (.+)", lambda n: (n, n)),
        (rf"{_HOW_MANY} (.+)", lambda n: (n, None)),
    )
    for pattern, bounds in forms:
        if (found := _matches(words, pattern)) and (labels := _labels(found[2])):
            least, most = bounds(int(_number(found[1])))
            return Count(labels, max(least, 0), most)
    if (found := _matches(words, r"(?:no|not any|without (?:any )?)\s?(.+)")) and (labels := _labels(found[1])):
        return Count(labels, 0, 0)
    found = _matches(words, r"(?:(?:a|an|any|some|the|another) )?(.+)")
    labels = _labels(found[1]) if found else frozenset()
    return Count(labels, 1) if labels else None


def _labels(noun: str) -> frozenset[str]:
    """The detector's labels that a noun means; empty for one that it does not know."""
    noun = noun.lower().strip()
    singular = [noun, *(noun.removesuffix(end) + instead for end, instead in _PLURALS if noun.endswith(end))]
    for each in singular:
        name = _SAME.get(each, each)
        if name in _GROUPS:
            return frozenset(_GROUPS[name])
        if name in LABELS or name == FACE:
            return frozenset({name})
    return frozenset()


_PLURALS = (("ies", "y"), ("ves", "fe"), ("es", ""), ("s", ""))


def _named(labels: frozenset[str]) -> str:
    return next((name for name, group in _GROUPS.items() if frozenset(group) == labels), " or ".join(sorted(labels)))
