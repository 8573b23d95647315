"""Images and words in one space: the tools over mean colours, the engine on tiny checkpoints of CLIP and SigLIP."""

import io
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.tools.tiny_seers import make_clip, make_siglip
from tools.bench import Bench
from tools.catalog import Row
from tools.embedding.contrastive import Contrastive
from tools.errors import InvalidInput, NotInstalled
from tools.open import open_bench
from tools.picturing import (
    ClassifySceneInput,
    EmbedImagesInput,
    FindImagesInput,
    classify_scene,
    embed_images,
    find_images,
    scenes,
)
from tools.settings import Settings

pytestmark = pytest.mark.anyio

torched = pytest.mark.skipif(
    not all(map(find_spec, Contrastive.needs)), reason="needs PyTorch, torchvision and transformers (`make gpu`)"
)
COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    async with open_bench(settings.model_copy(update={"serves": {"image-embedding": ["mean-colours"]}})) as bench:
        yield bench


async def kept(bench: Bench, colours: tuple[str, ...] = COLOURS) -> list[str]:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a film"

    media, refs = await bench.media.put(chunks(), name="film.mp4"), list[str]()
    for number, colour in enumerate(colours):
        file = io.BytesIO()
        Image.new("RGB", (16, 8), colour).save(file, "PNG")
        refs.append(await bench.media.derive(media.sha256, f"frames/{number}.png", file.getvalue()))
    return refs


async def test_images_are_found_by_words(bench: Bench) -> None:
    refs = await kept(bench, COLOURS * 5)
    found = await find_images(FindImagesInput(query="a blue thing", images=refs, most=6), bench)
    assert [each.index % 4 for each in found.images[:5]] == [2] * 5
    assert found.images[5].index % 4 != 2
    assert found.images[0].image == refs[2]
    assert [each.score for each in found.images] == sorted((each.score for each in found.images), reverse=True)
    assert found.model == "mean-colours"


async def test_images_and_texts_are_of_one_space(bench: Bench) -> None:
    refs = await kept(bench)
    both = await embed_images(EmbedImagesInput(images=refs, texts=list(COLOURS[:2])), bench)
    nearness = np.array(both.images) @ np.array(both.texts).T
    assert nearness.argmax(axis=0).tolist() == [0, 1]
    assert np.linalg.norm(both.images, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert (await embed_images(EmbedImagesInput(texts=["red"]), bench)).images == []


async def test_a_scene_is_one_of_the_labels(bench: Bench) -> None:
    refs = await kept(bench)
    labels = ["something red", "something green", "something blue"]
    answer = await classify_scene(ClassifySceneInput(images=refs[:3], labels=labels), bench)
    assert [each.labels[0].label for each in answer.images] == labels
    assert [each.image for each in answer.images] == refs[:3]
    assert len((await classify_scene(ClassifySceneInput(images=refs[:1]), bench)).images[0].labels) == 5
    assert len(scenes()) == len(set(scenes())) > 40


async def test_without_a_model_it_says_how_to_install_one(settings: Settings) -> None:
    async with open_bench(settings) as bench:
        refs = await kept(bench)
        for call in (
            embed_images(EmbedImagesInput(images=refs), bench),
            find_images(FindImagesInput(query="red", images=refs), bench),
            classify_scene(ClassifySceneInput(images=refs), bench),
        ):
            with pytest.raises(NotInstalled, match=r"`.*sutradhar models fetch siglip2-base`"):
                await call
    with pytest.raises(InvalidInput, match="`images`, `texts` or both"):
        embed_images.parse({})


def engine(folder: Path, files: list[str]) -> Contrastive:
    row = Row(id="tiny", title="Tiny", capability="image-embedding", engine="a:B", licence="MIT", commercial=True)
    return Contrastive(row, {name: folder / name for name in files}, "cpu")


@torched
@pytest.mark.parametrize("make", [make_clip, make_siglip])
def test_the_engine_on_a_tiny_checkpoint(make: Any, tmp_path: Path) -> None:
    made = engine(tmp_path, make(tmp_path))
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (height, 40, 3)).astype(np.uint8) for height in (30, 40, 50) * 7]
    texts = ["a street", "a cat on a mat", "a beach"]
    pictures, words = made.images(images), made.texts(texts)
    assert np.linalg.norm(np.concatenate([pictures, words]), axis=1) == pytest.approx(np.ones(24), abs=1e-5)
    assert made.images(images[4:5]) == pytest.approx(pictures[4:5], abs=1e-5), "alone as in a batch"
    assert made.texts(texts[1:2]) == pytest.approx(words[1:2], abs=1e-5)
    assert len(np.unique(pictures.round(4), axis=0)) == 21
    sure = made.match(images[:2], texts)
    assert sure.shape == (2, 3)
    assert ((sure >= 0) & (sure <= 1)).all()
    assert sure.argmax(axis=1).tolist() == (pictures[:2] @ words.T).argmax(axis=1).tolist()
    if make is make_clip:
        assert sure.sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert made.images([]).shape[0] == 0
    assert made.texts(["long " * 500]).shape == (1, words.shape[1])


@torched
def test_matching_is_what_the_model_itself_says(tmp_path: Path) -> None:
    import torch
    from PIL import Image as Pillow

    made = engine(tmp_path, make_siglip(tmp_path))
    images = [np.random.default_rng(n).integers(0, 255, (28, 28, 3)).astype(np.uint8) for n in range(2)]
    texts = ["a street", "a beach"]
    inputs = made._processor(
        text=texts, images=[Pillow.fromarray(each) for each in images], padding="max_length", max_length=16,
        truncation=True, return_tensors="pt",
    )  # fmt: skip
    with torch.inference_mode():
        expected = torch.sigmoid(made._model(**inputs).logits_per_image).numpy()
    assert made.match(images, texts) == pytest.approx(expected, abs=1e-4)


@torched
def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    files = make_clip(tmp_path)
    config = (tmp_path / "config.json").read_text().replace('"model_type": "clip"', '"model_type": "bert"')
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(NotInstalled, match="'bert'"):
        engine(tmp_path, files)
