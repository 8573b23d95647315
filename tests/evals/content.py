"""Pieces of every kind: length, structure, repetition, grounded facts, and figures that equal recomputation."""

import logging
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from graphs.catalog import Ask
from graphs.content.kinds import KINDS, ContentType, Style
from graphs.content.options import ContentResult
from graphs.events import Answer, RunFinished
from graphs.runs import Runs, open_runs
from graphs.temporal.verify import judge
from graphs.temporal.words import marks
from ingestion.ingest import ingest
from knowledge.open import open_knowledge
from tools.open import open_bench
from tools.settings import Budget, Settings
from tools.writing.measure import MeasureTextInput, measured
from tools.writing.text import sentences

_log = logging.getLogger(__name__)

KNOWLEDGE_BASE = "sources"
STYLES: tuple[Style, ...] = ("professional", "casual", "academic", "persuasive", "technical", "creative")
TOPICS = (
    "a solar kitchen for a village school",
    "the first monsoon rain",
    "repairing a bicycle",
    "a library on wheels",
)

SOURCES = {
    "observatory.txt": (
        "The Kodai observatory was founded in 1899 on a hill at 2,343 metres. Its first director was Charles Michie "
        "Smith. John Evershed found in 1909 that gas streams out of sunspots, which is now called the Evershed effect. "
        "The solar tunnel telescope was built in 1960. It leads sunlight through a tunnel that is 60 metres long. "
        "Daily pictures of the Sun have been taken there since 1904, one of the longest series in the world. "
        "The old glass plates were scanned between 2007 and 2012. The museum is open on Friday mornings."
    ),
    "stepwell.txt": (
        "The stepwell of Adalaj lies 18 kilometres north of Ahmedabad. It was finished in 1499 by Queen Rudabai. "
        "The well is five storeys deep and built of sandstone. Three staircases meet on its first landing. "
        "The air inside is about 5 degrees cooler than outside. Travellers rested there on their way to the coast."
    ),
}


@dataclass(frozen=True)
class Order:
    kind: ContentType
    style: Style
    length: str | int
    topic: str
    grounded: bool = False


def orders(quick: bool) -> list[Order]:
    """All kinds, each in another style, and two that stand on sources; `quick` takes four."""
    if quick:
        return [
            Order("blog_post", "casual", 150, TOPICS[0]),
            Order("poem", "creative", "short", TOPICS[1]),
            Order("social_post", "casual", "short", TOPICS[3]),
            Order("article", "professional", 120, "the Kodai observatory", grounded=True),
        ]
    sizes = ("short", "medium", "short", "long")
    kinds = [Order(kind, STYLES[n % 6], sizes[n % 4], TOPICS[n % 4]) for n, kind in enumerate(KINDS)]
    return [
        *kinds,
        Order("article", "professional", 200, "the Kodai observatory", grounded=True),
        Order("newsletter", "casual", 150, "the stepwell of Adalaj", grounded=True),
    ]


async def write(runs: Runs, order: Order, budget: Budget) -> tuple[Answer | None, RunFinished]:
    options = {"content_type": order.kind, "style": order.style, "length": order.length}
    bases = [KNOWLEDGE_BASE] if order.grounded else []
    run = await runs.start("content", Ask(question=order.topic, options=options, knowledge_bases=bases), budget=budget)
    answer, end = None, RunFinished(run=run, status="failed")
    async for _, event in runs.stream(run):
        if isinstance(event, Answer):
            answer = event
        elif isinstance(event, RunFinished):
            end = event
    return answer, end


def recomputed(answer: Answer, told: ContentResult) -> bool:
    """Whether the figures are those of the text that came out."""
    text = answer.text.partition("\n\n---\n\n")[0]
    again = measured(
        MeasureTextInput(
            text=text, language=told.language, title=told.title, description=told.description, keywords=told.keywords
        )
    )
    return told.final == again


def supported(answer: Answer) -> tuple[int, int]:
    """Cited sentences that their own evidence supports, or quotes; and all cited ones."""
    cited = [each for line in answer.text.split("\n") for each in sentences(line) if marks(each)]
    by_number = {each.n: each for each in answer.citations}
    right = 0
    for sentence in cited:
        evidence = [by_number[n] for n in marks(sentence) if n in by_number]
        plain = re.sub(r"\[\d+\]|[«»]", "", sentence).strip()
        quoted = any(plain and plain in each.text for each in evidence)
        right += quoted or judge(sentence, evidence, "").verdict == "supported"
    return right, len(cited)


def figures_of(done: Sequence[tuple[Order, Answer | None, RunFinished]]) -> dict[str, Any]:
    told = [
        (order, answer, ContentResult.model_validate(answer.result))
        for order, answer, _ in done
        if answer is not None and answer.result
    ]
    errors = [abs(each.words - each.target_words) / each.target_words for order, _, each in told if not order.grounded]
    facts = [supported(answer) for order, answer, _ in told if order.grounded]
    return {
        "pieces": len(done),
        "not_done": sum(end.status != "done" for _, _, end in done),
        "nothing_written": len(done) - len(told),
        "length_met": round(sum(error <= 0.15 for error in errors) / max(len(errors), 1), 3),
        "length_error_max": round(max(errors, default=0.0), 3),
        "structure_valid": round(sum(not each.problems for _, _, each in told) / max(len(told), 1), 3),
        "figures_equal": round(sum(recomputed(answer, each) for _, answer, each in told) / max(len(told), 1), 3),
        "repeated_grams_draft": _mean([each.draft.repetition.repeated_grams for _, _, each in told if each.draft]),
        "repeated_grams_final": _mean([each.final.repetition.repeated_grams for _, _, each in told if each.final]),
        "repeated_sentences": sum(each.final.repetition.repeated_sentences for _, _, each in told if each.final),
        "cited_sentences": sum(all_ for _, all_ in facts),
        "cited_supported": round(sum(right for right, _ in facts) / max(sum(all_ for _, all_ in facts), 1), 3),
        "links": sum(each.final.finding.links for _, _, each in told if each.final),
        "seconds_p50": round(statistics.median(end.usage.seconds for _, _, end in done), 1),
        "completion_tokens": sum(end.usage.completion_tokens for _, _, end in done),
    }


def _mean(values: Sequence[float]) -> float:
    return round(statistics.mean(values), 4) if values else 0.0


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """With the installed writing model; the sources are its own and go through ingestion."""
    budget = Budget(steps=60, seconds=1_800, tokens=60_000)
    done = list[tuple[Order, Answer | None, RunFinished]]()
    with TemporaryDirectory(dir=home) as folder:
        settings = Settings(home=Path(folder) / "home")
        async with open_bench(settings) as plain, open_knowledge(plain) as bench:
            for name, text in SOURCES.items():
                path = Path(folder) / name
                path.write_text(text, encoding="utf-8")
                await ingest(path, bench, knowledge_base=KNOWLEDGE_BASE)
            async with open_runs(bench) as runs:
                for order in orders(quick):
                    answer, end = await write(runs, order, budget)
                    _log.info("%s\n%s", order, answer.text if answer else end.reason)
                    done.append((order, answer, end))
    return figures_of(done)
