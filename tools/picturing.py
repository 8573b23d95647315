"""The tools that compare images with words: vectors of one space, picture search, what kind of scene it is."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from importlib.resources import files
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tools.bench import Bench
from tools.catalog import Choice
from tools.embedding import IMAGE_EMBEDDING, ImageEmbedding
from tools.installed import first_installed, not_installed
from tools.media.images import open_images
from tools.served import MediaRef, ModelInput, ModelOutput, served
from tools.toolbox import tool

SMALLEST = "siglip2-base"
Words = Annotated[str, Field(min_length=1, max_length=1_000)]
Images = Annotated[list[MediaRef], Field(min_length=1, max_length=512)]

_SHOWN = 5


class EmbedImagesInput(ModelInput):
    images: Annotated[list[MediaRef], Field(max_length=512)] = Field([], description="Images to compare.")
    texts: Annotated[list[Words], Field(max_length=512)] = Field([], description="Words to compare images with.")

    @model_validator(mode="after")
    def _something_is_given(self) -> Self:
        if not self.images and not self.texts:
            raise ValueError("give `images`, `texts` or both")
        return self


class EmbeddedImages(ModelOutput):
    """Vectors are L2-normalised; the dot product of an image's and a text's says how well they go together."""

    images: list[list[float]]
    texts: list[list[float]]


class FindImagesInput(ModelInput):
    query: Words
    images: Images
    most: Annotated[int, Field(ge=1, le=512)] = Field(10, description="How many to name.")


class FoundImage(BaseModel):
    """`index` counts from 0 in the images that came in; `score` is comparable within one model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str
    index: int
    score: float


class FoundImages(ModelOutput):
    images: list[FoundImage] = Field(description="The best first.")


class ClassifySceneInput(ModelInput):
    images: Images
    labels: Annotated[list[Words], Field(min_length=2, max_length=200)] | None = Field(
        None, description="What it may be; by default common scenes."
    )


class SceneLabel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    confidence: Annotated[float, Field(ge=0, le=1)]


class Scene(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str
    labels: list[SceneLabel] = Field(description="The surest first.")


class Scenes(ModelOutput):
    images: list[Scene] = Field(description="In the order in which they were asked for.")


@tool(title="Embed images")
async def embed_images(input: EmbedImagesInput, bench: Bench) -> EmbeddedImages:
    """Turn images and words into vectors of one space, to search pictures by words or by other pictures."""
    choice = await asyncio.to_thread(_choose, bench, input.model)
    async with bench.models.use(choice.row.id, bench.emit) as engine:
        texts = await engine.call(ImageEmbedding.texts, input.texts) if input.texts else np.zeros((0, 0))
    images = [each async for each in _each(input.images, choice, bench, ImageEmbedding.images)]
    return EmbeddedImages(images=[_rounded(each) for each in images], texts=_rounded(texts), **served(choice))


@tool(title="Find images")
async def find_images(input: FindImagesInput, bench: Bench) -> FoundImages:
    """Order images, such as video frames or photographs, by how well each shows what some words say."""
    choice = await asyncio.to_thread(_choose, bench, input.model)
    async with bench.models.use(choice.row.id, bench.emit) as engine:
        (query,) = await engine.call(ImageEmbedding.texts, [input.query])
    scores = [float(each @ query) async for each in _each(input.images, choice, bench, ImageEmbedding.images)]
    order = sorted(range(len(scores)), key=lambda index: -scores[index])[: input.most]
    found = [FoundImage(image=input.images[index], index=index, score=round(scores[index], 5)) for index in order]
    return FoundImages(images=found, **served(choice))


@tool(title="Classify scenes")
async def classify_scene(input: ClassifySceneInput, bench: Bench) -> Scenes:
    """Say what kind of scene each image shows: a street, an office, a beach, or whichever of the given labels."""
    choice = await asyncio.to_thread(_choose, bench, input.model)
    labels = input.labels or scenes()
    asked = [f"This is a photo of {label}." for label in labels]
    images = list[Scene]()
    async for sure in _each(input.images, choice, bench, ImageEmbedding.match, asked):
        order = np.argsort(-sure, kind="stable")[:_SHOWN]
        told = [SceneLabel(label=labels[place], confidence=round(float(sure[place]), 4)) for place in order]
        images.append(Scene(image=input.images[len(images)], labels=told))
    return Scenes(images=images, **served(choice))


def scenes() -> list[str]:
    """Common scenes, as they stand in a sentence."""
    return files("tools.embedding").joinpath("scenes.txt").read_text(encoding="utf-8").split("\n")[:-1]


def _choose(bench: Bench, model: str | None) -> Choice:
    if model is not None:
        return bench.choose(IMAGE_EMBEDDING, model=model)
    if (choice := first_installed(bench, IMAGE_EMBEDDING)) is None:
        raise not_installed(bench, IMAGE_EMBEDDING, SMALLEST, "so images cannot be compared with words")
    return choice


async def _each(
    refs: list[str], choice: Choice, bench: Bench, method: Callable[..., NDArray[np.float32]], *arguments: Any
) -> AsyncGenerator[NDArray[np.float32], None]:
    """What the engine makes of each image, a few images at a time."""
    done = 0
    async with (
        bench.models.use(choice.row.id, bench.emit) as engine,
        aclosing(open_images(bench.media, refs, bench.settings.limits)) as batches,
    ):
        async for images in batches:
            for row in await engine.call(method, images, *arguments):
                yield row
            done += len(images)
            bench.progress(fraction=round(done / len(refs), 4))


def _rounded(vectors: NDArray[Any]) -> Any:
    # seven digits are all that a float32 has
    return np.round(vectors.astype(np.float64), 7).tolist()


TOOLS = (embed_images, find_images, classify_scene)
