"""Facts from sources: what is remembered of the topic, shared out to the parts, and sentences held to it."""

import asyncio
import re
from collections.abc import Sequence

from graphs.content.state import Part
from graphs.content.tidy import blocks, without_links
from graphs.events import Citation
from graphs.speak import harmless
from graphs.temporal.evidence import best_sentence, cite, fuse
from graphs.temporal.memory import look
from graphs.temporal.verify import judge
from graphs.temporal.words import alike, content, marks, names, numbers, without_marks
from knowledge.segment import Modality
from knowledge.store import Where
from knowledge.tools import SearchInput, search
from tools.bench import Bench
from tools.writing.text import sentences, words

MOST = 24
"""Passages that a piece stands on at most."""

_TOLD: list[Modality] = ["speech", "caption"]
_SHOWN: list[Modality] = ["screen_text", "page", "table", "image"]
_FEWEST_WORDS = 4

CARRIES = 2.5
"""Words of a piece for each word of its evidence; beyond that a writer begins to invent."""

_NEW_WORDS = 2
"""Content words that the evidence has not, in a sentence that only leads from one to the next."""


async def gather_evidence(bench: Bench, topic: str, knowledge_bases: list[str], sources: list[str]) -> list[Citation]:
    """The passages that fit the topic best and, of sources that were named, their course from beginning to end."""
    where = Where(knowledge_bases=knowledge_bases, sources=sources)
    searches = [look(bench, topic[:4_000], [where], kinds) for kinds in (_TOLD, _SHOWN)]
    found = [each for many in await asyncio.gather(*searches) for each in many]
    evidence = cite(fuse(found, content(topic), (), MOST))
    if sources:
        evidence += await _course(bench, where, {each.media: each.source for each in evidence})
    return numbered([each for each in evidence if len(words(each.text)) >= _FEWEST_WORDS])


async def _course(bench: Bench, where: Where, called: dict[str, str]) -> list[Citation]:
    """What is said and shown in the sources, in order of time; a source that no search found is called by its hash."""
    told = await bench.call(
        search, SearchInput(where=where.model_copy(update={"modalities": [*_TOLD, *_SHOWN]}), limit=200)
    )
    segments = [hit.segment for hit in told.hits]
    step = max(len(segments) / MOST, 1.0)
    chosen = [segments[int(n * step)] for n in range(min(len(segments), MOST))]
    return [
        Citation(
            n=0,
            source=called.get(each.source, each.source[:12]),
            media=each.source,
            modality=each.modality,
            text=each.text,
            start=each.start,
            end=each.end,
            page=each.page,
            box=each.box,
            thumbnail=f"/api/v1/media/{each.image}" if each.image else None,
            segment=str(each.id),
        )
        for each in chosen
    ]


def handed(material: str) -> list[Citation]:
    """What another agent made, as passages to stand on."""
    passages = [without_marks(each) for each in blocks(material) if len(words(each)) >= _FEWEST_WORDS]
    return numbered(
        [Citation(n=0, source="material", media="", modality="page", text=each[:1_500]) for each in passages]
    )


def numbered(evidence: Sequence[Citation]) -> list[Citation]:
    """Each passage once, in the order of its source, numbered from 1."""
    once = dict[str, Citation]()
    for each in evidence:
        once.setdefault(" ".join(words(each.text)), each)
    kept = list(once.values())[:MOST]
    ordered = sorted(kept, key=lambda each: (each.media, each.page or 0, each.start or 0.0)) if kept[:1] else []
    return [each.model_copy(update={"n": n}) for n, each in enumerate(ordered, 1)]


def shared_out(parts: Sequence[Part], evidence: Sequence[Citation]) -> list[Part]:
    """Each part with its run of the evidence, in order; with less evidence than parts some have the same."""
    count, total = len(parts), len(evidence)
    return [
        part.model_copy(
            update={
                "evidence": [
                    evidence[at].n
                    for at in range(n * total // count, max((n + 1) * total // count, n * total // count + 1))
                ]
            }
        )
        for n, part in enumerate(parts)
    ]


def capacity(evidence: Sequence[Citation]) -> int:
    """The words that can be written from so much evidence without adding to it."""
    return round(CARRIES * sum(len(words(each.text)) for each in evidence))


def held(text: str, evidence: Sequence[Citation]) -> tuple[str, int]:
    """The text with only what the evidence says, and how many sentences were taken out.

    A sentence that its evidence supports keeps the mark, or gets it. One that says next to nothing, and names no
    number and no name that the evidence has not, may stand between them without a mark.
    """
    known = " \n".join(f"{each.text} {each.source}" for each in evidence)
    dropped, kept_blocks = 0, list[str]()
    for block in blocks(text):
        if block.startswith("```"):
            dropped += 1
            continue
        lines = list[str]()
        for line in block.split("\n"):
            lead = re.match(r"\s*(?:[-*+]\s+|\d{1,2}[.)]\s+)?", line)
            start = lead.end() if lead else 0
            told = [_held(each, evidence, known) for each in sentences(line[start:])]
            dropped += told.count("")
            if any(told):
                lines.append(line[:start] + " ".join(each for each in told if each))
        if lines:
            kept_blocks.append("\n".join(lines))
    stands = any(marks(each) for each in kept_blocks)
    return "\n\n".join(kept_blocks) if stands else "", dropped


def quoted(evidence: Sequence[Citation], wanted: str, said: str) -> str:
    """The evidence itself, in its own words, that fits a part best and was not cited yet; nothing when all was."""
    left = [each for each in evidence if each.n not in marks(said)]
    best = best_sentence(left, content(wanted))
    # what a page or a screen says is quoted without its links and images, which could call another host
    quote = " ".join(word for word in without_links(best[0], marks=False).split() if harmless(word, "")) if best else ""
    return f"«{quote}» [{best[1].n}]" if best and quote else ""


def _held(sentence: str, evidence: Sequence[Citation], known: str) -> str:
    judged = judge(sentence, evidence, "")
    if judged.verdict == "supported":
        return f"{judged.text} {''.join(f'[{each.n}]' for each in judged.evidence)}"
    plain, stems = without_marks(sentence), content(known)
    new = [each for each in content(plain) if not any(alike(each, stem) for stem in stems)]
    invented = numbers(plain) - numbers(known) or names(plain) & {*new}
    return "" if invented or len(new) > _NEW_WORDS else plain
