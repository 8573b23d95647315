"""The tools that compare by meaning: texts into vectors, and passages by how well they answer."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tools.bench import Bench
from tools.embedding import RERANKING, TEXT_EMBEDDING, Reranking, TextEmbedding
from tools.served import ModelInput, ModelOutput, served
from tools.toolbox import tool

Text = Annotated[str, Field(max_length=20_000)]

_BATCH = 32
_CHARACTERS = 16_000
"""With `_BATCH`, what one call of an engine gets: it bounds what a cancelled request still costs."""


class EmbedInput(ModelInput):
    texts: Annotated[list[Text], Field(min_length=1, max_length=2_048)]
    kind: Literal["passage", "query"] = Field(
        "passage", description="`passage` for texts that will be searched, `query` for texts that search."
    )


class Embedded(ModelOutput):
    """`vectors` are L2-normalised, in the order of the texts."""

    vectors: list[list[float]]
    dimensions: int


class RerankInput(ModelInput):
    query: Annotated[str, Field(min_length=1, max_length=4_000)]
    passages: Annotated[list[Text], Field(min_length=1, max_length=256)]


class Ranked(BaseModel):
    """`index` counts from 0 in the passages that came in; `score` is a logit, comparable within one model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: int
    score: float


class Reranked(ModelOutput):
    ranking: list[Ranked] = Field(description="All passages, the best answer first.")


@tool(title="Embed texts")
async def embed_texts(input: EmbedInput, bench: Bench) -> Embedded:
    """Turn texts into vectors whose dot product says how near they are in meaning, across languages."""
    choice = bench.choose(TEXT_EMBEDDING, model=input.model)
    method = TextEmbedding.queries if input.kind == "query" else TextEmbedding.passages
    vectors = list[list[float]]()
    async with bench.models.use(choice.row.id, bench.emit) as engine:
        for batch in _batches(input.texts):
            found = await engine.call(method, batch)
            # seven digits are all that a float32 has; sixteen would double the answer
            vectors += np.round(found.astype(np.float64), 7).tolist()
            bench.progress(fraction=round(len(vectors) / len(input.texts), 4))
    return Embedded(vectors=vectors, dimensions=len(vectors[0]), **served(choice))


@tool(title="Rerank passages")
async def rerank(input: RerankInput, bench: Bench) -> Reranked:
    """Order passages by how well each answers a question; slower and surer than comparing vectors."""
    choice = bench.choose(RERANKING, model=input.model)
    scores = list[float]()
    async with bench.models.use(choice.row.id, bench.emit) as engine:
        for batch in _batches(input.passages):
            scores += await engine.call(Reranking.scores, input.query, batch)
            bench.progress(fraction=round(len(scores) / len(input.passages), 4))
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    ranking = [Ranked(index=index, score=round(scores[index], 5)) for index in order]
    return Reranked(ranking=ranking, **served(choice))


def _batches(texts: list[str]) -> Iterator[list[str]]:
    batch, characters = list[str](), 0
    for text in texts:
        if batch and (len(batch) == _BATCH or characters + len(text) > _CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    yield batch


TOOLS = (embed_texts, rerank)
