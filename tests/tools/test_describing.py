"""Describing images and clips: who serves, what is asked, and how requests share a call. No model is needed here."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.tools.seeing_hosts import call, seeing_host, uploaded
from tools.bench import Bench
from tools.catalog import Catalog, File, Row, load_catalog
from tools.describing import (
    AskImagesInput,
    DescribeClipInput,
    DescribeImagesInput,
    ask_images,
    describe_clip,
    describe_images,
)
from tools.errors import InvalidInput, NotInstalled
from tools.events import Event
from tools.open import open_bench
from tools.settings import Settings
from tools.vision.pictures import grid, spread

pytestmark = pytest.mark.anyio

SEER = {"vision-language": ["scripted-seer"]}


def seer(id: str = "seer", *, engine: str = "tools.vision.scripted:ScriptedSeer", **more: Any) -> Row:
    told = {"title": id.title(), "licence": "Apache-2.0", "commercial": True, "capability": "vision-language", **more}
    return Row(id=id, engine=engine, **told)


@asynccontextmanager
async def bench_with(settings: Settings, *rows: Row, **more: Any) -> AsyncIterator[Bench]:
    """The rows, asked in their order."""
    real = load_catalog()
    catalog = Catalog(models=[*real.models, *rows], profiles=real.profiles)
    serves = {"vision-language": [row.id for row in rows]} if rows else SEER
    async with open_bench(settings.model_copy(update={"serves": serves, **more}), catalog=catalog) as bench:
        yield bench


async def frames(bench: Bench, count: int, size: tuple[int, int] = (32, 24)) -> list[str]:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"a film"

    media = await bench.media.put(chunks(), name="film.mp4")
    refs = list[str]()
    for number in range(count):
        file = io.BytesIO()
        Image.new("RGB", size, (number * 7 % 256, 0, 0)).save(file, "PNG")
        refs.append(await bench.media.derive(media.sha256, f"frames/{number}.png", file.getvalue()))
    return refs


async def test_each_image_is_described_in_order(settings: Settings) -> None:
    async with bench_with(settings) as bench:
        refs = await frames(bench, 10)
        answer = await describe_images(DescribeImagesInput(images=refs, detail="low"), bench)
    assert answer.model == "scripted-seer"
    assert [each.image for each in answer.images] == refs
    assert answer.images[0].text.startswith(
        "Asked 'Say in one sentence what this image shows.' about 1 images (32 x 24)"
    )


async def test_the_detail_chooses_words_and_length(settings: Settings) -> None:
    async with bench_with(settings) as bench:
        refs = await frames(bench, 1)
        said = {
            detail: (await describe_images(DescribeImagesInput(images=refs, detail=detail), bench)).images[0].text
            for detail in ("low", "medium", "high")
        }
        short = await describe_images(DescribeImagesInput(images=refs, most_tokens=2), bench)
    assert len(set(said.values())) == 3
    assert "word by word" in said["high"]
    assert len(short.images[0].text.split()) == 2


async def test_requests_at_once_share_a_call(settings: Settings) -> None:
    # it loads for a while, so that all three wait for it
    slow = seer(engine="tests.tools.test_describing:Slow")
    async with bench_with(settings, slow) as bench:
        refs = await frames(bench, 3)
        asked = [AskImagesInput(question=f"What is {n}?", images=[refs[n]]) for n in range(3)]
        answers = await asyncio.gather(*(ask_images(each, bench) for each in asked))
    for number, answer in enumerate(answers):
        assert f"What is {number}?" in answer.text
        assert "3 at once" in answer.text


class Slow:
    """Takes its time to load, and tells of the questions it cannot take."""

    def __init__(self, row: Row, files: Any, device: str) -> None:
        from tools.vision.scripted import ScriptedSeer

        time.sleep(0.5)
        self._seer = ScriptedSeer(row, files, device)

    def answer(self, questions: list[Any]) -> Any:
        if any("impossible" in each.text for each in questions):
            raise InvalidInput("That cannot be asked.")
        return self._seer.answer(questions)


async def test_a_question_that_cannot_be_taken_fails_alone(settings: Settings) -> None:
    async with bench_with(settings, seer(engine="tests.tools.test_describing:Slow")) as bench:
        refs = await frames(bench, 1)
        asked = [AskImagesInput(question=each, images=refs) for each in ("Who?", "The impossible?", "Where?")]
        answers = await asyncio.gather(*(ask_images(each, bench) for each in asked), return_exceptions=True)
    assert isinstance(answers[1], InvalidInput)
    assert ["Who?" in str(answers[0]), "Where?" in str(answers[2])] == [True, True]


async def test_a_clip_is_shown_evenly_with_its_seconds(settings: Settings) -> None:
    async with bench_with(settings, seer(options={"frames": 3})) as bench:
        refs = await frames(bench, 9)
        asked = DescribeClipInput(images=refs, times=[n / 2 for n in range(9)], question="Who enters?")
        answer = await describe_clip(asked, bench)
    assert (answer.start, answer.end, answer.times) == (0.0, 4.0, [0.0, 2.0, 4.0])
    assert "taken at 0.0, 2.0, 4.0 seconds" in answer.text
    assert "Who enters?" in answer.text
    assert "about 3 images" in answer.text
    assert "from 0.0 to 4.0 s" in answer.text


async def test_a_model_of_one_image_sees_a_clip_as_a_grid_and_refuses_two_images(settings: Settings) -> None:
    async with bench_with(settings, seer(options={"images": 1, "grid": True, "frames": 4, "side": 200})) as bench:
        refs = await frames(bench, 5)
        clip = await describe_clip(DescribeClipInput(images=refs, times=[0, 1, 2, 3, 4]), bench)
        assert "about 1 images (68 x 52)" in clip.text
        with pytest.raises(InvalidInput, match="sees 1 image at a time, not 2"):
            await ask_images(AskImagesInput(question="Same?", images=refs[:2]), bench)


async def test_large_images_are_reduced_for_the_model(settings: Settings) -> None:
    async with bench_with(settings, seer(options={"side": 300})) as bench:
        refs = await frames(bench, 1, (1_200, 600))
        answer = await ask_images(AskImagesInput(question="What?", images=refs), bench)
    assert "(300 x 150)" in answer.text


async def test_pieces_are_told_as_they_come(settings: Settings) -> None:
    told = list[Any]()

    def listen(event: Event) -> None:
        told.append(event)

    async with bench_with(settings) as bench:
        refs = await frames(bench, 2)
        answer = await describe_images(DescribeImagesInput(images=refs), bench.listening(listen))
    pieces = [event.data for event in told if getattr(event, "data", None)]
    for number, image in enumerate(answer.images):
        assert "".join(each["piece"] for each in pieces if each["answer"] == number).strip() == image.text


async def test_without_a_model_it_says_how_to_install_one(settings: Settings) -> None:
    async with open_bench(settings) as bench:
        refs = await frames(bench, 1)
        for call in (
            describe_images(DescribeImagesInput(images=refs), bench),
            ask_images(AskImagesInput(question="Who?", images=refs), bench),
            describe_clip(DescribeClipInput(images=refs, times=[0]), bench),
        ):
            with pytest.raises(NotInstalled, match=r"`.*sutradhar models fetch llava-onevision-0\.5b`"):
                await call


async def test_the_first_that_is_there_serves_and_says_why(settings: Settings, tmp_path: Path) -> None:
    weights = tmp_path / "weights.bin"
    far = seer("far", on_request=True, files=[File(name="a.bin", sources=[f"file:{weights}"])])
    big = seer("big", memory=10_000.0)
    near = seer("near")
    async with bench_with(settings, far, big, near, cache=tmp_path / "cache") as bench:
        refs = await frames(bench, 1)
        answer = await describe_images(DescribeImagesInput(images=refs), bench)
        assert answer.model == "near"
        assert answer.reason == "Far has not been fetched. Big does not fit on cpu."
        weights.write_bytes(b"weights")
        named = await describe_images(DescribeImagesInput(images=refs, model="far"), bench)
        assert (named.model, named.reason) == ("far", "")
        assert (await describe_images(DescribeImagesInput(images=refs), bench)).model == "far", "it is here now"


async def test_another_capability_is_refused(settings: Settings) -> None:
    async with bench_with(settings) as bench:
        with pytest.raises(InvalidInput, match="does text-reading, not vision-language"):
            await describe_images(DescribeImagesInput(images=["0" * 64], model="pp-ocrv6-small"), bench)


async def test_an_engine_stops_when_all_who_asked_have_left(settings: Settings) -> None:
    chatty = seer(options={"answer": "word " * 400, "pause": 0.05})
    async with bench_with(settings, chatty) as bench:
        refs = await frames(bench, 1)
        asking = asyncio.create_task(ask_images(AskImagesInput(question="What?", images=refs), bench))
        await asyncio.sleep(0.5)
        asking.cancel()
        began = time.monotonic()
        await ask_images(AskImagesInput(question="What?", images=refs, most_tokens=1), bench)
        assert time.monotonic() - began < 5, "the first would have gone on for twenty seconds"


async def test_requests_at_once_over_http_share_a_call(tmp_path: Path) -> None:
    row = seer(engine="tests.tools.test_describing:Slow")
    async with seeing_host([row], tmp_path / "home") as served:
        refs = await uploaded(served, 2)
        asked = [{"question": f"What is {n}?", "images": [ref]} for n, ref in enumerate(refs)]
        answers = await asyncio.gather(*(call(served, "ask_images", **each) for each in asked))
        clip = await call(served, "describe_clip", images=refs, times=[1, 2], detail="high")
        async with served.client() as client:
            foreign = await client.post("/api/v1/tools/describe_images", json={"images": ["0" * 64]})
            streamed = await client.post(
                "/api/v1/tools/describe_images", json={"images": refs}, headers={"accept": "text/event-stream"}
            )
    for number, answer in enumerate(answers):
        assert f"What is {number}?" in answer["text"]
        assert "2 at once" in answer["text"]
        assert answer["model"] == "seer"
    assert "taken at 1.0, 2.0 seconds" in clip["text"]
    assert foreign.status_code == 404
    assert streamed.text.count('"piece"') > 20
    assert "event: result" in streamed.text


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"images": ["0" * 64], "times": []}, "times"),
        ({"images": ["0" * 64], "times": [0, 1]}, "1 images have 2 times"),
        ({"images": ["0" * 64] * 2, "times": [1, 1]}, "must rise"),
        ({"images": ["0" * 64], "times": [0], "detail": "huge"}, "detail"),
    ],
)
def test_clips_that_make_no_sense_are_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        describe_clip.parse(arguments)


def test_places_are_spread_from_first_to_last() -> None:
    assert spread(3, 8) == [0, 1, 2]
    assert spread(9, 3) == [0, 4, 8]
    assert spread(9, 1) == [4]


def test_a_grid_keeps_the_order() -> None:
    shades = [np.full((40, 60, 3), shade, np.uint8) for shade in (0, 120, 240)]
    sheet = grid(shades, [0.0, 1.0, 2.0], 124)
    assert sheet.shape == (84, 124, 3)
    assert [int(sheet[35, 55, 0]), int(sheet[35, 119, 0]), int(sheet[79, 55, 0])] == [0, 120, 240]
