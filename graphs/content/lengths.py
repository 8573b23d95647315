"""Lengths that are met by rule: how many words each part gets, and a text made shorter by whole sentences."""

import re
from collections.abc import Mapping, Sequence

from graphs.content.kinds import KINDS, ContentType
from graphs.content.tidy import blocks
from tools.writing.text import count_words, sentences

TOLERANCE = 0.15
_AIM = 0.07
"""A piece is trimmed and extended to within this of its length, so that a title more or less does not matter."""
_MOST_PARTS = 10
_ORPHAN = 15
_CLAUSE_WORDS = 4
# where a sentence may end as well: an item of a list is no clause
_CLAUSE = re.compile(
    r"(?<=\w)(?:[,;:–—] (?:but|so|which|where|whether|as|with|from|perfect|\w+ing)"
    r"|[,;:–—]? (?:or|who|while|because|without|so that))(?= )"
)


def parts_for(kind: ContentType, words: int) -> int:
    spec = KINDS[kind]
    if spec.shape in {"verse", "post"}:
        return 1
    least = 1 if spec.shape == "scenes" else 2
    most = len(spec.parts) if spec.shape == "prose" else _MOST_PARTS
    return max(least, min(round(words / spec.a_part), most))


def too_short(words: int, target: int) -> bool:
    return words < target * (1 - _AIM)


def met(words: int, target: int) -> bool:
    return abs(words - target) <= target * TOLERANCE


def trimmed(texts: Mapping[int, str], plan: Mapping[int, int], target: int, beside: int) -> dict[int, str]:
    """Parts without their last sentences until the piece, with `beside` words of headings, is no longer than wanted.

    The part that exceeds its plan most gives first; none loses its last sentence.
    """
    result = dict(texts)
    counts = {number: count_words(text) for number, text in result.items()}
    done = set[int]()
    while beside + sum(counts.values()) > target * (1 + _AIM) and len(done) < len(result):
        number = max((each for each in result if each not in done), key=lambda each: counts[each] / plan[each])
        shorter = without_last(result[number])
        words = count_words(shorter)
        now = beside + sum(counts.values())
        then = now - counts[number] + words
        # one very long sentence: it is ended at a comma, or stays where the length would be missed by more without it
        clips = then < target * (1 - TOLERANCE) and clipped(result[number]) != result[number]
        if not words or clips or abs(then - target) > now - target:
            done.add(number)
            continue
        result[number], counts[number] = shorter, words
    return _ended(_without_orphans(result, target, beside), target, beside)


def _ended(texts: Mapping[int, str], target: int, beside: int) -> dict[int, str]:
    """With its last sentence ended at a comma, where whole sentences miss the length: a post has but three."""
    result, last = dict(texts), max(texts, default=0)
    while not met(now := beside + sum(count_words(each) for each in result.values()), target) and now > target:
        shorter = clipped(result[last])
        words = now - count_words(result[last]) + count_words(shorter)
        if shorter == result[last] or now - target < abs(words - target):
            break
        result[last] = shorter
    return result


def _without_orphans(texts: Mapping[int, str], target: int, beside: int) -> dict[int, str]:
    """Without last paragraphs of a single short sentence, as trimming leaves them, where the length allows it."""
    result = dict(texts)
    for number, text in texts.items():
        *before, last = blocks(text) or [""]
        single = before and "\n" not in last and len(sentences(last)) == 1 and count_words(last) < _ORPHAN
        shorter = {**result, number: "\n\n".join(before)}
        if single and not too_short(beside + sum(count_words(each) for each in shorter.values()), target):
            result = shorter
    return result


def clipped(text: str) -> str:
    """Without the last clause of its last sentence, when enough stands on both sides and no mark is lost with it."""
    last = (sentences(text) or [""])[-1]
    for match in reversed([*_CLAUSE.finditer(last)]):
        kept, cut = last[: match.start()], last[match.start() :]
        if min(count_words(kept), count_words(cut)) >= _CLAUSE_WORDS and "[" not in cut:
            return f"{text[: len(text) - len(last)]}{kept}." if text.endswith(last) else text
    return text


def without_last(text: str) -> str:
    """Without its last sentence, item, line or block of code."""
    pieces = blocks(text)
    if not pieces:
        return ""
    last = pieces.pop()
    lines = last.split("\n")
    if last.startswith("```"):
        shorter = ""
    elif len(lines) > 1:
        shorter = "\n".join(lines[:-1]).rstrip()
    else:
        shorter = " ".join(sentences(last)[:-1])
    return "\n\n".join([*pieces, *([shorter] if shorter else [])])


def shortest(texts: Mapping[int, str], plan: Mapping[int, int]) -> list[int]:
    """The parts by how much they lack, those that lack most first."""
    lacking = {number: plan[number] - count_words(texts.get(number, "")) for number in plan}
    return sorted(lacking, key=lambda number: -lacking[number])


def shares(words: int, count: int) -> Sequence[int]:
    """The words of each of so many parts; together they are exactly as many."""
    base, rest = divmod(max(words, count), count)
    return [base + (number < rest) for number in range(count)]
