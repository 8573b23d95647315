"""The most telling of many statements, by rules: frequent words, names, numbers, the asked subjects; nothing twice."""

import math
from collections import Counter
from collections.abc import Sequence

from graphs.temporal.words import content, coverage, names, numbers
from graphs.video.state import Statement

_FOCUS = 3.0
_ALIKE = 0.6
"""Share of a statement's words in one that was chosen before, above which it says nothing new."""
_FEWEST = 4

BEFORE: dict[str, float] = {"actions": 0.3, "speech": 0.0, "text": -0.1}
"""What a kind of statement is worth beside its words; the others stand in an overview of their own."""


def telling(statements: Sequence[Statement], most: int, focus: Sequence[str] = ()) -> list[Statement]:
    """At most so many statements, in their own order."""
    bare = [without_lead(each.text) for each in statements]
    stems = [content(text) for text in bare]
    counts = Counter(word for words in stems for word in set(words))
    wanted = content(" ".join(focus))

    def worth(at: int) -> float:
        words = stems[at]
        if len(words) < _FEWEST:
            return -1.0 + coverage(wanted, bare[at])
        common = sum(math.log1p(counts[word]) for word in words) / len(words)
        facts = 0.1 * min(len(numbers(bare[at])) + len(names(bare[at])), 4)
        opening = 0.2 if at == 0 else 0.0
        asked = _FOCUS * coverage(wanted, bare[at]) if wanted else 0.0
        return common + facts + opening + asked + BEFORE.get(statements[at].about, -0.2)

    chosen = list[int]()
    for at in sorted(range(len(statements)), key=lambda each: -worth(each)):
        if len(chosen) == most:
            break
        if not any(_says(stems[at], bare[other]) for other in chosen):
            chosen.append(at)
    return [statements[at] for at in sorted(chosen)]


def _says(stems: Sequence[str], other: str) -> bool:
    return bool(stems) and coverage(stems, other) >= _ALIKE


def about(statements: Sequence[Statement], focus: str) -> list[Statement]:
    """The statements that speak of a subject."""
    wanted = content(focus)
    return [each for each in statements if coverage(wanted, each.text) >= 0.5]


def without_lead(text: str) -> str:
    """A statement without the words that introduce a quotation."""
    return text.partition(": ")[2] or text
