"""The tools that compare by meaning."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from tools.bench import Bench
from tools.embedding_tools import EmbedInput, RerankInput, _batches, embed_texts, rerank
from tools.errors import InvalidInput
from tools.open import open_bench
from tools.settings import Settings

pytestmark = pytest.mark.anyio

WITHOUT_MODELS = {"text-embedding": ["hashed-words"], "reranking": ["shared-words"]}


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    async with open_bench(settings.model_copy(update={"serves": WITHOUT_MODELS})) as bench:
        yield bench


async def test_vectors_come_in_the_order_of_the_texts(bench: Bench) -> None:
    texts = [f"word{number}" for number in range(70)]
    answer = await embed_texts(EmbedInput(texts=texts), bench)
    assert np.array(answer.vectors).shape == (70, answer.dimensions)
    again = await embed_texts(EmbedInput(texts=texts[::-1], kind="query"), bench)
    assert again.vectors[::-1] == answer.vectors
    assert answer.model == "hashed-words"


async def test_the_best_passage_comes_first(bench: Bench) -> None:
    answer = await rerank(RerankInput(query="red bus", passages=["sea", "a red bus", "red"]), bench)
    assert [(each.index, each.score) for each in answer.ranking] == [(1, 1.0), (2, 0.5), (0, 0.0)]


def test_a_call_of_the_engine_is_bounded_by_texts_and_characters() -> None:
    assert [len(batch) for batch in _batches(["a"] * 70)] == [32, 32, 6]
    assert [len(batch) for batch in _batches(["a" * 9_000, "b" * 9_000, "c" * 20_000, "d"])] == [1, 1, 1, 1]


def test_arguments_are_bounded() -> None:
    for texts, kind in ([], "passage"), (["x" * 20_001], "passage"), (["x"], "document"):
        arguments: dict[str, object] = {"texts": texts, "kind": kind}
        with pytest.raises(InvalidInput):
            embed_texts.parse(arguments)
    with pytest.raises(InvalidInput, match="passages"):
        rerank.parse({"query": "q", "passages": ["x"] * 257})


@pytest.mark.weights
async def test_the_default_models_agree(settings: Settings, weights: Callable[[str], Mapping[str, Path]]) -> None:
    weights("minilm-reranker-en")
    passages = ["Berlin lies in Germany.", "Paris is the capital of France.", "Cats sleep most of the day."]
    question = "What is the capital of France?"
    async with open_bench(settings) as bench:
        stored = await embed_texts(EmbedInput(texts=passages), bench)
        asked = await embed_texts(EmbedInput(texts=[question], kind="query"), bench)
        ranked = await rerank(RerankInput(query=question, passages=passages), bench)
    assert (np.array(stored.vectors) @ np.array(asked.vectors[0])).argmax() == 1
    assert ranked.ranking[0].index == 1
