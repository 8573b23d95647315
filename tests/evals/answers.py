"""Answers and refusals on XQuAD: half of the questions have their paragraph in the knowledge base, half have not."""

import json
import logging
import random
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from graphs.runs import Runs, open_runs
from ingestion.ingest import ingest
from knowledge.open import open_knowledge
from tests.asking import Asked, ask
from tools.bench import Bench
from tools.errors import NotInstalled
from tools.open import open_bench
from tools.settings import Settings

_log = logging.getLogger(__name__)

KNOWLEDGE_BASE = "answers"
PARAGRAPHS = 48


@dataclass(frozen=True)
class Item:
    question: str
    answers: tuple[str, ...]
    paragraph: str


def items_of(data: Path, paragraphs: int, questions: int, seed: int) -> tuple[list[str], list[Item], list[Item]]:
    """Paragraphs to remember, questions on them, and questions on paragraphs of the same articles that are left out."""
    articles = json.loads((data / "qa" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice, no secret
    kept, left = list[dict[str, Any]](), list[dict[str, Any]]()
    for article in articles:
        shuffled = chance.sample(article["paragraphs"], len(article["paragraphs"]))
        kept += shuffled[:2]
        left += shuffled[2:3]
    kept = kept[:paragraphs]
    return [each["context"] for each in kept], _sample(kept, questions, chance), _sample(left, questions, chance)


def _sample(paragraphs: Sequence[dict[str, Any]], count: int, chance: random.Random) -> list[Item]:
    items = [
        Item(asked["question"], tuple(each["text"] for each in asked["answers"]), paragraph["context"])
        for paragraph in paragraphs
        for asked in paragraph["qas"]
    ]
    return chance.sample(items, min(count, len(items)))


def plain(text: str) -> str:
    """Without case, articles, marks and punctuation, as SQuAD compares."""
    bare = re.sub(r"\[\d+\]|[^\w\s]", " ", text.lower())
    return " ".join(word for word in bare.split() if word not in {"a", "an", "the"})


def f1(said: str, true: str) -> float:
    """Overlap of words, 0..1."""
    one, other = Counter(plain(said).split()), Counter(plain(true).split())
    same = (one & other).total()
    return 2 * same / (one.total() + other.total()) if same else 0.0


def right(said: str, answers: Iterable[str]) -> bool:
    """The answer's words stand in what was said, or overlap it well."""
    return any(f" {plain(each)} " in f" {plain(said)} " or f1(said, each) >= 0.6 for each in answers)


async def remember(bench: Bench, folder: Path, paragraphs: Sequence[str]) -> None:
    """Each paragraph as a document of its own, through ingestion."""
    for n, text in enumerate(paragraphs):
        path = folder / f"paragraph-{n:03d}.txt"
        path.write_text(text, encoding="utf-8")
        await ingest(path, bench, knowledge_base=KNOWLEDGE_BASE)


def figures_of(known: Sequence[tuple[Item, Asked]], unknown: Sequence[tuple[Item, Asked]]) -> dict[str, Any]:
    every = [asked for _, asked in (*known, *unknown)]
    answered = [(item, asked.answer) for item, asked in known if asked.answer and asked.answer.answered]
    hits = [any(right(cited.text, item.answers) for cited in answer.citations) for item, answer in answered]
    invented = [asked for _, asked in unknown if asked.answer and asked.answer.answered]
    return {
        "questions": len(known),
        "unanswerable": len(unknown),
        "right": round(sum(right(answer.text, item.answers) for item, answer in answered) / max(len(known), 1), 3),
        "citation_precision": round(sum(hits) / max(len(hits), 1), 3),
        "wrongly_refused": round(1 - len(answered) / max(len(known), 1), 3),
        "answered_unanswerable": round(len(invented) / max(len(unknown), 1), 3),
        "chat_calls_mean": round(statistics.mean(each.usage.chat_calls for each in every), 2),
        "chat_calls_max": max(each.usage.chat_calls for each in every),
        "prompt_tokens_mean": round(statistics.mean(each.usage.prompt_tokens for each in every)),
        "prompt_tokens_max": max(each.usage.prompt_tokens for each in every),
        "first_step_p50_s": round(statistics.median(each.first_step for each in every), 4),
        "evidence_p50_s": round(statistics.median(each.evidence for each in every), 3),
        "seconds_p50": round(statistics.median(each.seconds for each in every), 2),
        "not_done": sum(each.status != "done" for each in every),
    }


async def ask_all(runs: Runs, items: Sequence[Item]) -> list[tuple[Item, Asked]]:
    pairs = list[tuple[Item, Asked]]()
    for item in items:
        pairs.append((item, await ask(runs, item.question, KNOWLEDGE_BASE)))
        if answer := pairs[-1][1].answer:
            _log.info("%s? %s | %s | %s", item.question, answer.answered, item.answers[0], answer.text)
    return pairs


async def run(home: Path, data: Path | None, quick: bool, *, questions: int = 0, seed: int = 7) -> dict[str, Any]:
    """Weights come from the user's cache; the home is a folder of its own under `home`."""
    if data is None:
        raise NotInstalled("This evaluation needs qa/xquad.en.json.", remedy="Name its folder with --data DIR.")
    count = questions or (6 if quick else 30)
    paragraphs, known, unknown = items_of(data, 12 if quick else PARAGRAPHS, count, seed)
    with TemporaryDirectory(dir=home) as folder:
        settings = Settings(home=Path(folder) / "home")
        async with open_bench(settings) as plain_bench, open_knowledge(plain_bench) as bench:
            await remember(bench, Path(folder), paragraphs)
            async with open_runs(bench) as runs:
                # the first call of each model loads it; that is no property of an answer
                await ask(runs, known[0].question, KNOWLEDGE_BASE)
                return figures_of(await ask_all(runs, known), await ask_all(runs, unknown))
