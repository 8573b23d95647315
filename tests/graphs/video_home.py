"""A home for the video agent that fits into a test: timelines made by hand, watched at once, and a scripted model."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graphs.catalog import Ask
from graphs.events import AgentEvent, Answer
from graphs.runs import Runs, open_runs
from graphs.video.graph import video_over
from graphs.video.state import VideoResult
from ingestion.stages import OnProgress, Progress, unheard
from ingestion.timeline import Pass, ShotSeen, Timeline, Track
from knowledge.library import LIBRARY, open_library
from knowledge.segment import Made, Modality, Segment, segment_id
from tests.graphs.conftest import heard
from tools.bench import Bench
from tools.catalog import load_catalog
from tools.chat.scripted import with_script
from tools.errors import SutradharError
from tools.media.store import Media
from tools.open import open_bench
from tools.settings import Budget, Settings
from tools.toolbox import Tool
from tools.translating import Translated, TranslateInput

SHA = "b" * 64
BOX = (0.2, 0.2, 0.6, 0.8)


def segment(modality: Modality, text: str, start: float, end: float, *, sure: float = 0.95, **more: Any) -> Segment:
    return Segment(
        id=segment_id(SHA, modality, f"{start:.3f}-{end:.3f}", text),
        knowledge_base="",
        source=SHA,
        modality=modality,
        text=text,
        start=start,
        end=end,
        confidence=sure,
        made=Made(model="test"),
        **more,
    )


def spoken(text: str, start: float, end: float, **more: Any) -> Segment:
    return segment("speech", text, start, end, language="en", **more)


def shot(start: float, end: float, **more: Any) -> ShotSeen:
    return ShotSeen(start=start, end=end, image=f"{SHA}/frames/{start:.3f}.jpg", **more)


def track(label: str, start: float, end: float, sure: float, *, box: tuple[float, ...] = BOX, looks: int = 2) -> Track:
    left, top, right, bottom = box
    return Track(
        label=label,
        start=start,
        end=end,
        looks=looks,
        confidence=sure,
        box=(left, top, right, bottom),
        image=f"{SHA}/frames/{start:.3f}.jpg",
    )


def timeline(duration: float = 30.0, **more: Any) -> Timeline:
    passes = [Pass(name="full", step=1.0, senses=["frames", "speech"], missing={"captions": "not installed"})]
    return Timeline(
        **{"source": SHA, "name": "tour.mp4", "duration": duration, "passes": passes, "complete": True, **more}
    )


TOUR = timeline(
    shots=[
        shot(0.0, 10.0, camera="pan left", motion=0.1, colours=["grey", "white"]),
        shot(10.0, 20.0, transition="fade", light="dark", brightness=0.1),
        shot(20.0, 30.0, repeats=0),
    ],
    tracks=[
        track("person", 1.0, 9.0, 0.8, box=(0.1, 0.2, 0.4, 0.9)),
        track("person", 2.0, 9.0, 0.7, box=(0.5, 0.2, 0.8, 0.9)),
        track("face", 1.0, 9.0, 0.9, box=(0.2, 0.25, 0.3, 0.4)),
        track("face", 2.0, 9.0, 0.9, box=(0.6, 0.25, 0.7, 0.4)),
        track("cup", 11.0, 19.0, 0.7),
        track("dog", 21.0, 29.0, 0.52),
        track("umbrella", 21.0, 29.0, 0.52, box=(0.7, 0.1, 0.9, 0.3)),
    ],
    segments=[
        segment("screen_text", "CLEAN ROOM 4\n8", 3.0, 8.0),
        spoken("This mirror was built at Goddard", 4.0, 7.0),
        spoken("in Greenbelt. It has 18 segments.", 7.0, 9.5),
        spoken("Each segment is coated with gold.", 21.0, 25.0),
        spoken("mumble mumble", 26.0, 27.0, sure=0.2),
    ],
)


@dataclass
class Scripted:
    """Watches by handing out timelines; each waits for `delay` seconds. `fails` is raised after the last, `pictures`
    makes the key frames that the timelines refer to."""

    timelines: Sequence[Timeline]
    delay: float = 0.0
    fails: SutradharError | None = None
    pictures: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(
        self,
        media: Media,
        bench: Bench,
        *,
        name: str | None = None,
        budget: float | None = None,
        progress: OnProgress = unheard,
    ) -> AsyncIterator[Timeline]:
        self.asked.append({"media": media.sha256, "name": name, "budget": budget})
        self.begun.set()
        for each in self.timelines:
            progress(Progress(stage="frames", fraction=0.5))
            await asyncio.sleep(self.delay)
            progress(Progress(stage="frames", fraction=1.0, outcome="done"))
            if self.pictures:
                for n, seen in enumerate(each.shots):
                    colour = ("steelblue", "darkolivegreen", "indianred")[n % 3]
                    await bench.media.derive(media.sha256, seen.image.partition("/")[2], picture(colour))
            yield of(media.sha256, each).model_copy(update={"name": name or each.name})
        if self.fails is not None:
            raise self.fails


@asynccontextmanager
async def viewers(
    settings: Settings,
    watch: Scripted,
    script: Sequence[dict[str, Any]] = ({"fail": "error"},),
    *,
    host: Any = None,
) -> AsyncIterator[Runs]:
    """Runs of the video agent over one watching, with pictures for its shots and a scripted chat model."""
    path = Path(settings.home.parent) / "script.json"
    path.write_text(json.dumps(list(script)), encoding="utf-8")
    async with (
        open_bench(settings, catalog=with_script(load_catalog(), path)) as bench,
        open_library(settings.home / "library.sqlite") as library,
    ):
        ready = replace(bench, parts={**bench.parts, LIBRARY.name: library}, host=host)
        async with open_runs(ready, among={"video": video_over(watch)}) as runs:
            yield runs


class Interpreter:
    """A host whose translator writes the language before each text."""

    def __init__(self) -> None:
        self.asked: list[TranslateInput] = []

    async def call(self, tool: Tool[Any, Any], input: Any, bench: Bench) -> Any:
        assert isinstance(input, TranslateInput), tool.name
        self.asked.append(input)
        texts = [f"{input.target}:{text}" for text in input.all]
        return Translated(texts=texts, source="en", sources=["en"] * len(texts), target=input.target, model="tongue")


async def stored(runs: Runs, *, name: str = "tour.mp4", tenant: str = "local") -> str:
    """A medium of the tenant whose bytes nobody decodes, with a picture for each shot of the tour."""
    bench = runs.bench

    async def once() -> AsyncIterator[bytes]:
        yield f"film of {tenant}".encode()

    media = await bench.media.put(once(), name=name)
    await bench.part(LIBRARY).own(tenant, media.sha256, name)
    for at in (0.0, 10.0, 20.0):
        await bench.media.derive(media.sha256, f"frames/{at:.3f}.jpg", picture())
    return media.sha256


def picture(colour: str = "steelblue") -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (320, 180), colour).save(out, "JPEG")
    return out.getvalue()


def of(media: str, timeline: Timeline) -> Timeline:
    """The timeline with its references pointing to a stored medium."""
    return Timeline.model_validate_json(timeline.model_dump_json().replace(SHA, media))


async def told(
    runs: Runs, media: str, *, budget: Budget | None = None, tenant: str = "local", **options: Any
) -> tuple[Answer, VideoResult, list[AgentEvent]]:
    """Ask for one video and wait for the end."""
    ask = Ask(question="the video", options=options, sources=[media])
    run = await runs.start("video", ask, budget=budget, tenant=tenant)
    events = [event for _, event in await heard(runs, run, seconds=60, tenant=tenant)]
    (answer,) = [event for event in events if isinstance(event, Answer)]
    return answer, VideoResult.model_validate(answer.result), events
