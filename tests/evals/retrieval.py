"""Recall of the right passage for a question, in the same and in the other language, against the bare embedding.

The paragraphs of XQuAD are documents: they go through `remember` into a store of their own, and each question through
the search that answers are made from. `bare` is the embedding alone, by dot product, with the same vectors.
"""

import json
import statistics
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge.open import open_knowledge
from knowledge.retrieval import BATCH, find
from knowledge.segment import Made, Segment, segment_id
from knowledge.store import Where
from knowledge.tools import RememberInput, remember
from tools.bench import Bench
from tools.embedding import TEXT_EMBEDDING, TextEmbedding
from tools.errors import NotFound
from tools.open import open_bench
from tools.settings import Settings

DIRECTIONS = (("en", "en"), ("hi", "hi"), ("hi", "en"), ("en", "hi"))
_QUICK = 40
_DEPTH = 10


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """Figures by direction (`hi_en`: Hindi questions against English passages)."""
    sets = {language: _read(data, language, quick) for language in ("en", "hi")}
    figures: dict[str, Any] = {"passages": len(sets["en"][0]), "questions": len(sets["en"][1])}
    settings = Settings(home=home / "eval-retrieval", offline=True)
    async with open_bench(settings) as bench, open_knowledge(bench) as opened:
        for language, (passages, _) in sets.items():
            started = time.perf_counter()
            segments = [_segment(language, number, text) for number, text in enumerate(passages)]
            await opened.call(remember, RememberInput(segments=segments))
            figures[f"remember_{language}_seconds"] = round(time.perf_counter() - started, 1)
        for asked, among in DIRECTIONS:
            found = await _measure(opened, sets[asked][1], sets[among][0], among)
            figures |= {f"{asked}_{among}_{name}": value for name, value in found.items()}
    return figures


async def _measure(bench: Bench, questions: list[tuple[str, int]], passages: list[str], among: str) -> dict[str, float]:
    ours: list[int | None] = []
    waits: list[float] = []
    for text, truth in questions:
        started = time.perf_counter()
        hits = await find(bench, text, Where(knowledge_bases=[among]), _DEPTH)
        waits.append((time.perf_counter() - started) * 1000)
        order = [hit.segment.page for hit in hits]
        ours.append(order.index(truth + 1) if truth + 1 in order else None)
    bare = await _bare(bench, questions, passages)
    p95 = statistics.quantiles(waits, n=20)[-1]
    times = {"ms_p50": round(statistics.median(waits), 1), "ms_p95": round(p95, 1)}
    return {**_scores("", ours), **times, **_scores("bare_", bare)}


def _scores(prefix: str, ranks: list[int | None]) -> dict[str, float]:
    """Recall at 1 and 5, and the mean reciprocal rank among the first ten."""

    def share(top: int) -> float:
        return round(sum(rank is not None and rank < top for rank in ranks) / len(ranks), 4)

    mrr = sum(0.0 if rank is None else 1 / (rank + 1) for rank in ranks) / len(ranks)
    return {f"{prefix}recall1": share(1), f"{prefix}recall5": share(5), f"{prefix}mrr": round(mrr, 4)}


async def _bare(bench: Bench, questions: list[tuple[str, int]], passages: list[str]) -> list[int | None]:
    async with bench.engine(TEXT_EMBEDDING) as engine:

        async def embed(method: Any, texts: list[str]) -> NDArray[np.float32]:
            made = [await engine.call(method, texts[n : n + BATCH]) for n in range(0, len(texts), BATCH)]
            return np.concatenate(made)

        documents = await embed(TextEmbedding.passages, passages)
        asked = await embed(TextEmbedding.queries, [text for text, _ in questions])
    scores = asked @ documents.T
    truth = scores[np.arange(len(questions)), [number for _, number in questions]]
    ranks = (scores > truth[:, None]).sum(axis=1)
    return [int(rank) if rank < _DEPTH else None for rank in ranks]


def _segment(language: str, number: int, text: str) -> Segment:
    source = sha256(f"xquad.{language}".encode()).hexdigest()
    return Segment(
        id=segment_id(source, "page", str(number), text),
        knowledge_base=language,
        source=source,
        modality="page",
        text=text,
        page=number + 1,
        language=language,
        made=Made(model="xquad"),
    )


def _read(data: Path | None, language: str, quick: bool) -> tuple[list[str], list[tuple[str, int]]]:
    """The paragraphs, and each question with the number of its paragraph."""
    file = (data or Path()) / "qa" / f"xquad.{language}.json"
    if data is None or not file.is_file():
        raise NotFound(
            f"There is no {file.name!r} in {str(data)!r}.",
            remedy="Name a folder that has qa/xquad.en.json and qa/xquad.hi.json with `--data`.",
        )
    paragraphs = [each for article in json.loads(file.read_text())["data"] for each in article["paragraphs"]]
    paragraphs = paragraphs[:_QUICK] if quick else paragraphs
    questions = [(qa["question"], number) for number, each in enumerate(paragraphs) for qa in each["qas"]]
    return [each["context"] for each in paragraphs], questions
