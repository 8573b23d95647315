"""How much a text repeats itself, and the text without it."""

import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from pydantic import BaseModel, ConfigDict

from tools.writing.readability import sentences_of
from tools.writing.text import words

GRAM = 4
SAME = 0.85
"""Similarity from which two sentences say the same, as a share of their words."""
_FEWEST = 4
_LOOP = 3


class Repetition(BaseModel):
    """`repeated_grams` is the share of four-word runs that were there before; `repeated_sentences` the sentences that
    an earlier one says almost word for word; `distinct_words` the share of words that are new, over the first 500."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repeated_grams: float
    repeated_sentences: int
    distinct_words: float


def repetition(text: str) -> Repetition:
    found = words(text)
    grams = Counter(zip(*(found[n:] for n in range(GRAM)), strict=False))
    total = grams.total()
    said = sentences_of(text)
    first = found[:500]
    return Repetition(
        repeated_grams=round(1 - len(grams) / total, 4) if total else 0.0,
        repeated_sentences=len(said) - len(distinct(said)),
        distinct_words=round(len({*first}) / len(first), 4) if first else 0.0,
    )


def distinct(said: Sequence[str], before: Sequence[str] = ()) -> list[str]:
    """The sentences that neither `before` nor an earlier one says almost word for word; short ones may recur."""
    known = [words(each) for each in before]
    kept = list[str]()
    for each in said:
        these = words(re.sub(r"\[\d+\]", " ", each))
        if len(these) >= _FEWEST and any(alike(these, those) for those in known):
            continue
        if len(these) < _FEWEST and these in known:
            continue
        known.append(these)
        kept.append(each)
    return kept


def alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two sentences say the same almost word for word."""
    if not one or not other or min(len(one), len(other)) < SAME * max(len(one), len(other)) / (2 - SAME):
        return False
    if len({*one} & {*other}) < (2 * SAME - 1) * max(len({*one}), len({*other})):
        return False
    match = SequenceMatcher(None, one, other, autojunk=False)
    return match.quick_ratio() >= SAME and match.ratio() >= SAME


def winds(sentence: str) -> bool:
    """Whether a single sentence goes round and round without an end."""
    found = words(sentence)
    grams = {*zip(*(found[n:] for n in range(GRAM)), strict=False)}
    return len(found) > 16 and len(grams) < (len(found) - GRAM + 1) / 2


def loops(text: str) -> bool:
    """Whether a text's end is caught in a loop: its last sentence, line or dozen words came three times of late."""
    lately = text[-4_000:]
    said = [words(each) for each in sentences_of(lately)][-12:]
    if said and len(said[-1]) >= _FEWEST and said.count(said[-1]) >= _LOOP:
        return True
    found = words(lately)
    last = found[-12:]
    if len(last) < 12:
        return False
    runs = sum(found[n : n + 12] == last for n in range(len(found) - 11))
    return runs >= _LOOP
