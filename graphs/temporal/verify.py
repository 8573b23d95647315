"""Whether a sentence stands on its evidence, by rules: its marks exist, its numbers and names and words are there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from graphs.events import Citation
from graphs.temporal.words import alike, content, coverage, marks, names, numbers, sentences, without_marks

Verdict = Literal["supported", "unsure", "unsupported"]

SUPPORTED = 0.7
UNSUPPORTED = 0.35
SAME_CLAUSE = 0.5


_REFUSAL = re.compile(
    r"\b(?:(?:evidence|passages?|text|material) (?:does|do) not|not (?:mentioned|specified|provided|stated|given)|"
    r"no (?:information|mention|evidence)|cannot (?:answer|be determined))\b",
    re.IGNORECASE,
)
_DENIAL = re.compile(r"\b(?:not|no|never|none|neither|nor|without|cannot|\w+n['’]t)\b", re.IGNORECASE)
_YES_OR_NO = re.compile(r"\W*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would)\b", re.IGNORECASE)
NOT_FOUND = "NOT FOUND"


@dataclass(frozen=True)
class Judged:
    """A sentence without its marks, the evidence that it stands on, and how sure the rules are."""

    text: str
    evidence: tuple[Citation, ...]
    verdict: Verdict


def refuses(draft: str) -> bool:
    """Whether the model says that the evidence has no answer."""
    return NOT_FOUND in draft.upper() or bool(_REFUSAL.search(draft))


def judge(sentence: str, evidence: Sequence[Citation], question: str) -> Judged:
    """Judge a sentence by what it adds to the question; a wrong mark is corrected when other evidence has it all."""
    text = without_marks(sentence)
    numbered = {each.n: each for each in evidence}
    cited = tuple(numbered[n] for n in marks(sentence) if n in numbered)
    verdict = _verdict(text, cited, question) if cited else "unsupported"
    if any(_denied(text, content(text), each.text) for each in cited):
        # other evidence with the same words does not make it true
        return Judged(text, cited, "unsupported")
    if verdict == "supported":
        return Judged(text, _needed(text, cited, question), verdict)
    others = [each for each in evidence if _verdict(text, (each,), question) == "supported"]
    if others:
        best = max(others, key=lambda each: coverage(content(text), each.text))
        return Judged(text, (best,), "supported")
    if not cited and evidence:
        cited = (max(evidence, key=lambda each: coverage(content(text), each.text)),)
        verdict = _verdict(text, cited, question)
    return Judged(text, cited, verdict)


def judge_all(draft: str, evidence: Sequence[Citation], question: str) -> list[Judged]:
    if NOT_FOUND in draft.upper():
        return []
    return [judge(sentence, evidence, question) for sentence in sentences(draft)]


def _verdict(text: str, cited: Sequence[Citation], question: str) -> Verdict:
    there = " \n".join(f"{each.text} {each.source}" for each in cited)
    if not numbers(text) <= numbers(there) | numbers(question):
        return "unsupported"
    known = [*content(there), *content(question)]
    if any(not any(alike(name, word) for word in known) for name in names(text)):
        return "unsupported"
    asked = content(question)
    said = content(text)
    new = [word for word in said if not any(alike(word, each) for each in asked)]
    if not new and not _YES_OR_NO.match(question):
        # it only says the question again
        return "unsupported"
    if _denied(text, said, there):
        return "unsupported"
    share = coverage(new or said, there)
    if share >= SUPPORTED:
        return "supported"
    return "unsure" if share >= UNSUPPORTED else "unsupported"


def _denied(text: str, said: Sequence[str], there: str) -> bool:
    """Whether the clause that shares most with the sentence says no where the sentence says yes, or the reverse."""
    clauses = re.split(r"[,;:.!?\n]\s", there)
    nearest = max(clauses, key=lambda clause: coverage(said, clause), default="")
    return coverage(said, nearest) >= SAME_CLAUSE and bool(_DENIAL.search(text)) != bool(_DENIAL.search(nearest))


def _needed(text: str, cited: tuple[Citation, ...], question: str) -> tuple[Citation, ...]:
    """The first cited evidence that is enough alone, else all of it."""
    alone = [each for each in cited if _verdict(text, (each,), question) == "supported"]
    return (alone[0],) if alone else cited
