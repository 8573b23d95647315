"""A host whose tools answer at once from the pictures' own bars, for tests of the pipeline around the models."""

import asyncio
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from langgraph.store.memory import InMemoryStore
from PIL import Image

from knowledge.library import Library, Source
from knowledge.segment import Segment
from tests.tools.films import number_on
from tools.bench import Bench
from tools.catalog import Catalog, Profile, Row
from tools.errors import NotFound, SutradharError
from tools.listening import Speech, Spoken, Stretch, Transcript
from tools.looking import (
    FacesOnImage,
    FacesOnImages,
    ObjectsOnImage,
    ObjectsOnImages,
    ReadImage,
    ReadImages,
    SeenFace,
    SeenObject,
    SeenText,
)
from tools.media.store import MediaStore
from tools.settings import Settings
from tools.toolbox import Tool

SENSES = ("speech-to-text", "voice-activity", "text-reading", "object-detection", "face-landmarks")
BOX = (0.1, 0.1, 0.5, 0.2)


class FakeHost:
    """Answers ingestion's tools and remembers what was remembered. `broken` maps a tool to the error it raises."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.looked: Counter[str] = Counter()
        self.segments: dict[str, Segment] = {}
        self.sources: dict[tuple[str, str], Source] = {}
        self.broken: dict[str, SutradharError] = {}
        self.delay = 0.0
        self._library = Library(InMemoryStore())
        self.running = self.most_running = 0

    async def call(self, tool: Tool[Any, Any], input: Any, bench: Bench) -> Any:
        self.calls[tool.name] += 1
        if tool.name in self.broken:
            raise self.broken[tool.name]
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.delay)
            return await getattr(self, f"_{tool.name}")(input, bench)
        finally:
            self.running -= 1

    async def _transcribe(self, input: Any, bench: Bench) -> Transcript:
        windows = input.windows or [Stretch(start=0.5, end=2.5)]
        spoken = [
            Spoken(start=each.start, end=each.end, text=f"Words at {each.start:.1f}.", language="en", confidence=0.9)
            for each in windows
        ]
        return Transcript(segments=spoken, language="en", seconds=1.0, model="fake-ears")

    async def _find_speech(self, input: Any, bench: Bench) -> Speech:
        turns = [Stretch(start=at, end=at + 8.0) for at in np.arange(5.0, 1_190.0, 10.0)]
        return Speech(turns=turns, seconds=1_200.0, model="fake-ears")

    async def _numbers(self, input: Any, bench: Bench) -> list[tuple[str, int]]:
        self.looked.update(input.images)
        images = [np.asarray(Image.open(BytesIO(await bench.media.read(ref)))) for ref in input.images]
        return [(ref, number_on(image)) for ref, image in zip(input.images, images, strict=True)]

    async def _read_text(self, input: Any, bench: Bench) -> ReadImages:
        images = [
            ReadImage(image=ref, lines=[SeenText(text=f"Scene {number}", box=BOX, confidence=0.9)] if number else [])
            for ref, number in await self._numbers(input, bench)
        ]
        return ReadImages(images=images, model="fake-eyes")

    async def _find_objects(self, input: Any, bench: Bench) -> ObjectsOnImages:
        images = [
            ObjectsOnImage(image=ref, objects=[SeenObject(label="person", box=BOX, confidence=0.8)] * number)
            for ref, number in await self._numbers(input, bench)
        ]
        return ObjectsOnImages(images=images, model="fake-eyes")

    async def _find_faces(self, input: Any, bench: Bench) -> FacesOnImages:
        faces = [SeenFace(box=BOX, confidence=0.7)]
        return FacesOnImages(images=[FacesOnImage(image=ref, faces=faces) for ref in input.images], model="fake-eyes")

    async def _remember(self, input: Any, bench: Bench) -> None:
        self.segments |= {f"{each.knowledge_base}/{each.id}": each for each in input.segments}

    async def _forget_segments(self, input: Any, bench: Bench) -> None:
        gone = {f"{input.knowledge_base}/{each}" for each in input.ids}
        self.segments = {key: each for key, each in self.segments.items() if key not in gone}

    async def _get_source(self, input: Any, bench: Bench) -> Source:
        if (input.knowledge_base, input.sha256) not in self.sources:
            raise NotFound("no such source")
        return self.sources[input.knowledge_base, input.sha256]

    async def _put_source(self, input: Any, bench: Bench) -> Source:
        source = await self._library.put("local", input.knowledge_base, input.sha256, input.change)
        self.sources[input.knowledge_base, input.sha256] = source
        return source

    def of(self, modality: str) -> list[Segment]:
        found = [each for each in self.segments.values() if each.modality == modality]
        return sorted(found, key=lambda each: each.start or 0.0)


def fake_bench(home: Path, host: FakeHost) -> Bench:
    """A bench that belongs to the fake host; its own models are never used."""
    rows = [
        Row(id=f"fake-{name}", title=name, capability=name, engine="none:None", licence="-", commercial=True)
        for name in SENSES
    ]
    profile = Profile(title="fake", devices={}, serves={name: [f"fake-{name}"] for name in SENSES}, roles={})
    return Bench(
        settings=Settings(home=home, _env_file=None),
        catalog=Catalog(models=rows, profiles={"embedded": profile}),
        models=None,  # type: ignore[arg-type]
        media=MediaStore(home / "media", home / "tmp", max_bytes=1 << 30),
        host=host,
    )
