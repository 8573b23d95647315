"""The tools that look at images: text on them, things and faces in them."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from tools.bench import Bench
from tools.catalog import Choice
from tools.faces import FACE_LANDMARKS, FaceLandmarks
from tools.media.images import open_images
from tools.served import MediaRef, ModelInput, ModelOutput, served
from tools.toolbox import tool
from tools.vision import OBJECT_DETECTION, TEXT_READING, Box, ObjectDetection, TextReading

T = TypeVar("T")


class LookInput(ModelInput):
    images: Annotated[list[MediaRef], Field(min_length=1, max_length=512)]


class ReadInput(LookInput):
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = Field(
        None, description="ISO 639-1 code of the language written; Indian scripts are read where it is said."
    )


class DetectInput(LookInput):
    threshold: Annotated[float, Field(ge=0.05, le=1)] = Field(0.3, description="Lowest confidence that counts.")


class FaceInput(LookInput):
    landmarks: bool = Field(False, description="Also fit the mesh of 468 points.")


class Seen(BaseModel):
    """Something on an image; `box` is left, top, right, bottom as fractions of width and height."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    box: Box
    confidence: float


class SeenText(Seen):
    text: str


class SeenObject(Seen):
    label: str


class SeenFace(Seen):
    """`landmarks` are x, y as fractions of width and height and z as a fraction of width, for each point."""

    landmarks: list[tuple[float, float, float]] | None = None


class ReadImage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str
    lines: list[SeenText] = Field(description="Top to bottom.")


class ObjectsOnImage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str
    objects: list[SeenObject] = Field(description="Surest first.")


class FacesOnImage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str
    faces: list[SeenFace] = Field(description="Largest first.")


class ReadImages(ModelOutput):
    images: list[ReadImage] = Field(description="In the order in which they were asked for.")


class ObjectsOnImages(ModelOutput):
    images: list[ObjectsOnImage] = Field(description="In the order in which they were asked for.")


class FacesOnImages(ModelOutput):
    images: list[FacesOnImage] = Field(description="In the order in which they were asked for.")


@tool(title="Read text on images")
async def read_text(input: ReadInput, bench: Bench) -> ReadImages:
    """Read the text on images such as video frames, slides and scanned pages, line by line with its place."""
    choice = bench.choose(TEXT_READING, model=input.model, language=input.language)
    images = list[ReadImage]()
    async for ref, lines in _each(input, choice, bench, TextReading.read, input.language):
        seen = [SeenText(text=each.text, box=each.box, confidence=each.confidence) for each in lines]
        images.append(ReadImage(image=ref, lines=seen))
    return ReadImages(images=images, **served(choice))


@tool(title="Find objects")
async def find_objects(input: DetectInput, bench: Bench) -> ObjectsOnImages:
    """Find everyday things, animals and people on images, with their places."""
    choice = bench.choose(OBJECT_DETECTION, model=input.model)
    images = list[ObjectsOnImage]()
    async for ref, found in _each(input, choice, bench, ObjectDetection.detect, input.threshold):
        seen = [SeenObject(label=each.label, box=each.box, confidence=round(each.confidence, 4)) for each in found]
        images.append(ObjectsOnImage(image=ref, objects=seen))
    return ObjectsOnImages(images=images, **served(choice))


@tool(title="Find faces")
async def find_faces(input: FaceInput, bench: Bench) -> FacesOnImages:
    """Find faces on images, with their places and, if asked for, their shape; nobody is identified."""
    choice = bench.choose(FACE_LANDMARKS, model=input.model)
    images = list[FacesOnImage]()
    async for ref, found in _each(input, choice, bench, FaceLandmarks.find, input.landmarks):
        seen = [SeenFace(box=each.box, confidence=each.confidence, landmarks=_points(each.landmarks)) for each in found]
        images.append(FacesOnImage(image=ref, faces=seen))
    return FacesOnImages(images=images, **served(choice))


async def _each(
    input: LookInput, choice: Choice, bench: Bench, method: Callable[..., list[list[T]]], *arguments: Any
) -> AsyncGenerator[tuple[str, list[T]], None]:
    """What an engine sees on each image, with its reference, a few images at a time."""
    done = 0
    async with (
        bench.models.use(choice.row.id, bench.emit) as engine,
        aclosing(open_images(bench.media, input.images, bench.settings.limits)) as batches,
    ):
        async for images in batches:
            for found in await engine.call(method, images, *arguments):
                yield input.images[done], found
                done += 1
            bench.progress(fraction=round(done / len(input.images), 4))


def _points(landmarks: Any) -> list[tuple[float, float, float]] | None:
    return None if landmarks is None else [(x, y, z) for x, y, z in landmarks.astype(float).round(5).tolist()]


TOOLS = (read_text, find_objects, find_faces)
