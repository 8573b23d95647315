"""What rules can tell of a text: its language, the names in it, and what it says about time."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from graphs.research.figures import dates, years
from graphs.temporal.stopwords import STOPWORDS
from knowledge.moments import parse_time
from tools.languages import tell_language
from tools.writing.text import sentences

_NAME = re.compile(r"(?<![\w'’])[A-ZÀ-Þ][\w'’-]*(?:\s(?:(?:of|the|de|van|von)\s)?[A-ZÀ-Þ][\w'’-]*)*")
_CLOCK = re.compile(r"(?<![\d:])(?:[01]?\d|2[0-3]):[0-5]\d(?![\d:])(?:\s?[ap]\.?m\.?)?", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['’]s?$")
_MOST = 100
_NO_CAPITALS = "Names are told by their capital letters, and this script has none."


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Named(_Frozen):
    """A name and the characters at which it stands."""

    name: str
    at: list[int]


class TimeTold(_Frozen):
    """What a text says about time. `value` is an ISO date, a year or a clock; a `moment` is seconds of a medium, and
    `during` is told by something that happens."""

    kind: Literal["date", "year", "clock", "moment", "during", "recorded"]
    text: str
    value: str = ""
    start: float | None = None
    end: float | None = None
    sentence: str = ""


class TextSeen(_Frozen):
    """`sure` is how sure the language is, 0..1; `notes` say what could not be told."""

    characters: int
    sentences: int
    language: str | None
    sure: float
    names: list[Named] = []
    times: list[TimeTold] = []
    notes: list[str] = []


def read(text: str, now: datetime) -> TextSeen:
    """What is in a text; `now` is what «yesterday» is counted from."""
    language, sure = tell_language(text)
    pieces = sentences(text)
    notes = [] if any(each.isupper() for each in text) else _capitals(text)
    return TextSeen(
        characters=len(text),
        sentences=len(pieces),
        language=language,
        sure=round(sure, 3),
        names=names(text)[:_MOST],
        times=[told for piece in pieces[:500] for told in times(piece, now)][:_MOST],
        notes=notes,
    )


def _capitals(text: str) -> list[str]:
    letters = [each for each in text if each.isalpha()]
    caseless = [each for each in letters if unicodedata.category(each) == "Lo"]
    return [_NO_CAPITALS] if len(caseless) > len(letters) / 2 else []


def names(text: str) -> list[Named]:
    """Runs of words with capitals. One word that begins a sentence is a name only where it also stands elsewhere."""
    found: dict[str, list[int]] = {}
    opening: dict[str, list[int]] = {}
    for name, at, begins in capitalised(text):
        (opening if begins and " " not in name else found).setdefault(name, []).append(at)
    for name, places in opening.items():
        if name in found:
            found[name] = sorted([*found[name], *places])
    return [Named(name=name, at=at) for name, at in sorted(found.items(), key=lambda each: each[1][0])]


def capitalised(text: str) -> Iterator[tuple[str, int, bool]]:
    """Runs of words with capitals, where they stand, and whether they begin a sentence."""
    for match in _NAME.finditer(text):
        words, at, begins = match[0].split(), match.start(), _begins(text, match.start())
        while words and words[0].lower() in STOPWORDS:
            at, begins = at + len(words[0]) + 1, False
            words = words[1:]
        name = _POSSESSIVE.sub("", " ".join(words))
        if len(name) > 1 and not name.isdigit():
            yield name, at, begins


def _begins(text: str, at: int) -> bool:
    before = text[:at].rstrip(" \t\"'«“(")
    return not before or before[-1] in ".!?:\n।"


def times(sentence: str, now: datetime) -> list[TimeTold]:
    """Dates, years and clocks that a sentence names, and the moments of a medium or of the past that it speaks of."""
    told = [TimeTold(kind="date", text=each, value=each, sentence=sentence) for each in sorted(dates(sentence))]
    dated = {each.value[:4] for each in told}
    told += [
        TimeTold(kind="year", text=str(each), value=str(each), sentence=sentence)
        for each in dict.fromkeys(years(sentence))
        if str(each) not in dated
    ]
    condition = parse_time(sentence, now=now)
    words, window = ", ".join(condition.matched), condition.media
    if window is not None and window.unit == "seconds" and not window.from_end:
        told.append(TimeTold(kind="moment", text=words, start=window.start, end=window.end, sentence=sentence))
    elif condition.recorded_from is not None and not told:
        ends = (condition.recorded_from, condition.recorded_to)
        span = "/".join(each.isoformat() if each else "" for each in ends)
        told.append(TimeTold(kind="recorded", text=words, value=span, sentence=sentence))
    if (relation := condition.relation) is not None:
        told.append(TimeTold(kind="during", text=relation.anchor, value=relation.kind, sentence=sentence))
    if window is None:
        clocks = [each[0] for each in _CLOCK.finditer(sentence)]
        told += [TimeTold(kind="clock", text=each, value=each, sentence=sentence) for each in clocks]
    return told
