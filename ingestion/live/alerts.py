"""Conditions over time: one alert for each time that something happens, however often it flickers."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from ingestion.live.conditions import FACE, Asked, Condition, Count, Crossing, Cut, Light, Motion, Spoken, Written
from ingestion.live.observed import Observed

LOOKS = 2
"""Looks in a row that confirm what a detector sees or misses now and then."""
QUIET = 2.0
"""Seconds for which a condition must fail before it can be told again."""
_DARK, _NOT_DARK = 0.13, 0.2
_BRIGHT, _NOT_BRIGHT = 0.3, 0.22
_MOVES, _STILL = 0.004, 0.002
"""Shares of the picture that change from frame to frame: from the first it moves, below the second it is still."""
_SURE = 0.4
"""Confidence from which a thing counts."""
_READ_ALIKE = 0.8


@dataclass(frozen=True)
class Fired:
    """A condition that began to hold at `since` and was sure at `at`; `why` is what was seen or heard."""

    condition: Condition
    since: float
    at: float
    why: str


class Trigger:
    """One condition. It fires when it has held long enough, and again only after it has failed for a while."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self._since: float | None = None
        self._looks = 0
        self._failing: float | None = None
        self._fails = 0
        self._fired = False
        # what must become so may be so from the beginning, and is then no news
        self._armed = not condition.becomes
        self._level = Level()

    def see(self, seen: Observed) -> Fired | None:
        """What this look says; a look without the condition's sense says nothing."""
        if self.condition.sense in ("sound", "model") or not self._looked(seen):
            return None
        if isinstance(self.condition.test, Crossing):
            return self._cross(self.condition.test, seen)
        holds = self._holds(seen)
        return None if holds is None else self.judge(holds, seen.at, _why(self.condition, seen))

    def judge(self, holds: bool, at: float, why: str) -> Fired | None:
        if not holds:
            self._fail(at)
            return None
        self._failing, self._fails = None, 0
        self._since = at if self._since is None else self._since
        self._looks += 1
        once = isinstance(self.condition.test, Written | Cut | Asked)
        enough = self._looks >= (1 if once else LOOKS) and at - self._since >= self.condition.seconds
        if not enough or self._fired or not self._armed:
            return None
        self._fired = True
        return Fired(self.condition, self._since, at, why)

    def hear(self, said: str, start: float, end: float) -> Fired | None:
        """What was said in one turn of a speaker."""
        test = self.condition.test
        if not isinstance(test, Spoken) or not said.strip() or not _says(test.text, said):
            return None
        return Fired(self.condition, start, end, f"said: «{said.strip()}»")

    def _looked(self, seen: Observed) -> bool:
        return not seen.reading if self.condition.sense == "frame" else self.condition.sense in seen.looked

    def _fail(self, at: float) -> None:
        self._failing = at if self._failing is None else self._failing
        self._fails += 1
        lasting = self.condition.seconds > 0
        # light and motion are measured; a detector misses things now and then
        needed = 1 if lasting and self.condition.sense == "frame" else LOOKS
        released = self._fails >= needed and at - self._failing >= (0.0 if lasting else QUIET)
        # each cut is an event of its own
        released = released or isinstance(self.condition.test, Cut)
        if released or (not self._fired and self._fails >= (needed if lasting else 1)):
            self._since, self._looks = None, 0
        if released or (not self._fired and self._fails >= LOOKS):
            self._fired, self._armed = False, True

    def _holds(self, seen: Observed) -> bool | None:
        """Whether it holds, with other bounds for what holds already; None where nothing can be told."""
        was, holds = self._since is not None, None
        match self.condition.test:
            case Count(labels=labels, least=least, most=most):
                number = counted(labels, seen)
                holds = number >= least and (most is None or number <= most)
            case Written(text=text):
                holds = any(_reads(text, each.text) for each in seen.lines)
            case Light(dark=True):
                holds = seen.brightness < (_NOT_DARK if was else _DARK)
            case Light(dark=False):
                holds = seen.brightness > (_NOT_BRIGHT if was else _BRIGHT)
            case Motion(moving=moving) if seen.motion is not None:
                holds = (seen.motion > (_MOVES if was != moving else _STILL)) == moving
            case Cut():
                holds = seen.scene_change
        return holds

    def _cross(self, test: Crossing, seen: Observed) -> Fired | None:
        change = self._level.follow(counted(test.labels, seen), seen.at)
        if change == 0 or (change > 0) != test.arrives:
            return None
        return Fired(self.condition, self._level.since, seen.at, _why(self.condition, seen))


class Level:
    """How many are in view, steadied: it rises after two looks, and falls after two looks and a while."""

    def __init__(self) -> None:
        self.since = 0.0
        self._level: int | None = None
        self._first: list[int] = []
        self._other: list[int] = []

    def follow(self, number: int, at: float) -> int:
        """By how much the steady number changes with this look."""
        if self._level is None:
            # a detector that misses somebody on the first look must not make them enter on the second
            self._first.append(number)
            if len(self._first) == LOOKS:
                self._level = max(self._first)
            return 0
        same_way = [each for each in self._other if (each > self._level) == (number > self._level)]
        if number == self._level or (self._other and not same_way):
            self._other = []
        if number == self._level:
            return 0
        if not self._other:
            self.since = at
        self._other.append(number)
        rises = number > self._level
        if len(self._other) < LOOKS or (not rises and at - self.since < QUIET):
            return 0
        steady = min(self._other[-LOOKS:]) if rises else max(self._other)
        change, self._level, self._other = steady - self._level, steady, []
        return change


def counted(labels: frozenset[str], seen: Observed) -> int:
    if FACE in labels:
        return len(seen.faces)
    return sum(each.label in labels and each.confidence >= _SURE for each in seen.objects)


def _letters(text: str) -> str:
    return re.sub(r"\W+", "", text.casefold())


def _reads(wanted: str, line: str) -> bool:
    """Whether a line has the wanted text in whole words, as far as a reader's slip in a longer word allows."""
    if not wanted:
        return bool(_letters(line))
    words, sought = re.findall(r"\w+", line.casefold()), re.findall(r"\w+", wanted.casefold())
    if not sought:
        return wanted in line
    runs = (words[at : at + len(sought)] for at in range(len(words) - len(sought) + 1))
    return any(all(_alike(one, other) for one, other in zip(run, sought, strict=True)) for run in runs)


def _alike(one: str, other: str) -> bool:
    if one == other:
        return True
    return min(len(one), len(other)) >= 5 and SequenceMatcher(None, one, other, autojunk=False).ratio() >= _READ_ALIKE


def _says(wanted: str, said: str) -> bool:
    words, sought = re.findall(r"[\w']+", said.casefold()), re.findall(r"[\w']+", wanted.casefold())
    return any(words[at : at + len(sought)] == sought for at in range(len(words) - len(sought) + 1))


def _why(condition: Condition, seen: Observed) -> str:
    match condition.test:
        case Count(labels=labels) | Crossing(labels=labels):
            return f"{counted(labels, seen)} in view"
        case Written():
            return f"read: {', '.join(f'«{each.text}»' for each in seen.lines[:5])}"
        case Light():
            return f"brightness {seen.brightness:.2f}"
        case Motion():
            return f"motion {seen.motion or 0:.3f}"
    return "another picture than before"
