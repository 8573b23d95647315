"""Which sentences of what was read answer the questions: chosen, never rewritten, so that each is a quotation."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphs.research.figures import figures, years
from graphs.research.passages import quotable
from graphs.research.state import Claim, Depth, Passage, Plan, Source
from graphs.temporal.understand import language_of
from graphs.temporal.words import content
from tools.bench import Bench
from tools.embedding_tools import EmbedInput, RerankInput, embed_texts, rerank
from tools.errors import SutradharError

PER_SOURCE: dict[Depth, int] = {"low": 5, "medium": 10, "high": 16}
"""Sentences of one source at most."""

MOST = 200
CANDIDATES = 40
"""Sentences of a source that are compared by meaning, at about 10 ms each on two idle cores."""

RERANKED = 40
"""Sentences that the cross-encoder reads in one research, at about 50 ms each."""

ANSWERS_FROM = -3.0
"""Cross-encoder logit from which a sentence counts as an answer though it shares few words with the question."""

TOPICAL = 0.34
"""Share of the topic's words that a sentence has, with its heading, where nothing better tells."""

_PRONOUN = re.compile(
    r"^\W*(?:It|They|He|She|This|These|That|Those|Its|Their|His|Her|The (?:town|city|dam|company|park|project|plant|"
    r"bridge|study|report|team|village|river|lake|group|system|site|work|building|museum))\b"
)


@dataclass(frozen=True)
class _Sentence:
    source: int
    index: int
    place: Passage
    text: str
    about: str
    words: float
    questions: tuple[float, ...]
    special: tuple[float, ...]


async def extract(bench: Bench, plan: Plan, read: Mapping[Source, Sequence[Passage]], depth: Depth) -> list[Claim]:
    """Claims of all sources, numbered from 0, those of a source together and in order of worth."""
    per_source = {each.n: await asyncio.to_thread(_candidates, each, passages, plan) for each, passages in read.items()}
    sentences = [each for some in per_source.values() for each in some]
    if not sentences:
        return []
    near = await _nearness(bench, plan, sentences)
    worth = [_worth(sentence, near[row] if near is not None else None) for row, sentence in enumerate(sentences)]
    answers = await _answers(bench, plan, sentences, worth)
    chosen = list[Claim]()
    for n in per_source:
        rows = [row for row, each in enumerate(sentences) if each.source == n and _passes(plan, each, answers.get(row))]
        rows.sort(key=lambda row: -max(worth[row]))
        chosen += _best(rows[:CANDIDATES], sentences, worth, len(chosen), PER_SOURCE[depth])
    chosen = sorted(chosen, key=lambda each: -each.fit)[:MOST]
    ordered = sorted(chosen, key=lambda each: each.id)
    return [each.model_copy(update={"id": id}) for id, each in enumerate(ordered)]


def _candidates(source: Source, passages: Sequence[Passage], plan: Plan) -> list[_Sentence]:
    """A source's sentences that may answer something: by words, cheaply, before anything is compared by meaning.

    `special` is how much of what only one question asks for a sentence has.
    """
    wanted, topic = [set(content(each)) for each in plan.questions], set(content(plan.topic))
    counted = Counter(word for each in wanted for word in each)
    only = [{word for word in each if 2 * counted[word] <= len(wanted)} for each in wanted]
    found, seen = list[_Sentence](), set[str]()
    for index, passage in enumerate(passages):
        before = source.name
        for text in quotable(passage.text):
            key = " ".join(content(text))
            about = before if _PRONOUN.match(text) else ""
            said = set(content(f"{about} {text}"))
            if key not in seen:
                seen.add(key)
                fits = tuple(_covered(each, said) for each in wanted)
                special = tuple(_covered(each, said) for each in only)
                found.append(
                    _Sentence(source.n, index, passage, text, about[:200], _covered(topic, said), fits, special)
                )
            before = about or text
    telling = sorted(found, key=lambda each: -(max(each.questions) + each.words + _told(each.text)))
    return telling[:CANDIDATES]


def _covered(wanted: set[str], said: set[str]) -> float:
    """The share of the wanted words that are said, longer ones weighing more, 0..1."""
    return _weight(wanted & said) / max(_weight(wanted), 1)


def _weight(words: set[str]) -> int:
    return sum(min(len(each), 8) for each in words)


def _told(text: str) -> float:
    """Sentences with figures and dates say something that can be checked."""
    return 0.15 * bool(figures(text)) + 0.1 * bool(years(text))


async def _nearness(bench: Bench, plan: Plan, sentences: Sequence[_Sentence]) -> np.ndarray | None:
    """Cosines of shape `[sentences, questions]`, centred by question; None where nothing embeds."""
    try:
        asked = await bench.call(embed_texts, EmbedInput(texts=list(plan.questions), kind="query"))
        texts = [each.text for each in sentences]
        vectors = list[list[float]]()
        for start in range(0, len(texts), 512):
            vectors += (await bench.call(embed_texts, EmbedInput(texts=texts[start : start + 512]))).vectors
    except SutradharError:
        return None
    cosines = np.asarray(vectors) @ np.asarray(asked.vectors).T
    spread = cosines.std() or 1.0
    return np.asarray((cosines - cosines.mean()) / spread)


def _worth(sentence: _Sentence, near: np.ndarray | None) -> list[float]:
    """How well a sentence answers each question."""
    told = _told(sentence.text) + 0.3 * sentence.words
    return [
        fit + special + told + (0.25 * float(near[index]) if near is not None else 0.0)
        for index, (fit, special) in enumerate(zip(sentence.questions, sentence.special, strict=True))
    ]


async def _answers(
    bench: Bench, plan: Plan, sentences: Sequence[_Sentence], worth: Sequence[Sequence[float]]
) -> dict[int, float]:
    """Cross-encoder logits of the best sentences for the topic, by row; empty where none is installed or reads it."""
    if plan.language != "en":
        return {}
    rows = [row for row, each in enumerate(sentences) if language_of(each.text) == "en"]
    rows = sorted(rows, key=lambda row: -max(worth[row]))[:RERANKED]
    if not rows:
        return {}
    texts = [f"{sentences[row].about} {sentences[row].text}".strip()[:600] for row in rows]
    try:
        ranked = await bench.call(rerank, RerankInput(query=plan.topic, passages=texts))
    except SutradharError:
        return {}
    return {rows[each.index]: each.score for each in ranked.ranking}


def _passes(plan: Plan, sentence: _Sentence, answer: float | None) -> bool:
    """Whether a sentence is about the topic at all; something is always nearest."""
    if answer is not None and answer >= ANSWERS_FROM:
        return True
    if max(sentence.words, *sentence.questions) >= TOPICAL:
        return True
    # words of another language share nothing; the order by meaning has to do
    return language_of(sentence.text) != plan.language


def _best(
    rows: Sequence[int], sentences: Sequence[_Sentence], worth: Sequence[Sequence[float]], first: int, most: int
) -> list[Claim]:
    chosen = list[Claim]()
    for row in rows[:most]:
        sentence, fits = sentences[row], worth[row]
        # what answers no single question belongs to the topic, which is the first
        question = max(range(len(fits)), key=lambda index: (sentence.special[index] > 0, round(fits[index], 3), -index))
        question = question if sentence.special[question] > 0 else 0
        chosen.append(
            Claim(
                id=first + len(chosen),
                source=sentence.source,
                question=question,
                quote=sentence.text,
                passage=sentence.index,
                fit=round(fits[question], 4),
                about=sentence.about,
                modality=sentence.place.modality,
                start=sentence.place.start,
                end=sentence.place.end,
                page=sentence.place.page,
                segment=sentence.place.segment,
            )
        )
    return chosen
