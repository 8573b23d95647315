"""A film becomes segments with the right times; done twice, killed or half broken it comes to the same."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ingestion.ingest import ingest
from ingestion.stages import Progress
from tests.ingestion.senses import FakeHost, fake_bench
from tests.tools.films import counting, film, wav
from tools.bench import Bench
from tools.catalog import Catalog, Row
from tools.diarizing import Diarized, SpeakerTurn
from tools.errors import EngineFailed, NotInstalled, SutradharError, TooLarge, UnsupportedMedia
from tools.settings import Limits

pytestmark = pytest.mark.anyio

SIZE = (320, 180)
bars = counting(*SIZE)


def scenes(number: int) -> NDArray[np.uint8]:
    """Four seconds each: nothing written, then 1, 2 and 3, on backgrounds of their own."""
    scene = number // 40
    frame = bars(scene)
    frame[: SIZE[1] // 2] = [(20, 30, 40), (200, 40, 40), (40, 200, 40), (40, 40, 200)][scene]
    return frame


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(
        tmp_path_factory.mktemp("film") / "clip.mp4", draw=scenes, frames=160, fps=10, size=SIZE, gop=200, tone=16.0
    )


async def test_text_things_faces_and_speech_come_with_their_times(tmp_path: Path, clip: Path) -> None:
    host = FakeHost()
    report = await ingest(clip, fake_bench(tmp_path, host), knowledge_base="b")
    text = host.of("screen_text")
    assert [each.text for each in text] == ["Scene 1", "Scene 2", "Scene 3"]
    assert [(each.start, each.end) for each in text] == [(4.0, 8.0), (8.0, 12.0), (12.0, 16.0)]
    assert [each.text for each in host.of("object")] == ["1 person", "2 persons", "3 persons"]
    assert [(each.start, each.end) for each in host.of("object")] == [(4.0, 8.0), (8.0, 12.0), (12.0, 16.0)]
    assert [each.text for each in host.of("face")] == ["1 face"] * 4
    assert [(each.start, each.end, each.text) for each in host.of("speech")] == [(0.5, 2.5, "Words at 0.5.")]
    looks = [each.text for each in host.of("scene")]
    for look, colour in zip(looks, ("black", "red", "green", "blue"), strict=True):
        assert colour in look
        assert look.endswith("the camera stands still.")
    assert report.segments == {"screen_text": 3, "object": 3, "face": 4, "scene": 4, "sound": 1, "speech": 1}
    assert {each.outcome for each in report.stages} == {"done"}
    assert max(host.looked.values()) == 2  # once for text, once for things; faces leave no trace
    source = host.sources["b", report.source]
    assert (source.state, source.kind, source.name) == ("ready", "video", "clip.mp4")
    assert all(each.image and each.image.startswith(report.source) for each in text)


async def test_the_same_film_twice_does_nothing_and_in_another_base_only_remembers(tmp_path: Path, clip: Path) -> None:
    host = FakeHost()
    bench = fake_bench(tmp_path, host)
    first = await ingest(clip, bench, knowledge_base="b")
    calls, before = host.calls.copy(), dict(host.segments)
    again = await ingest(clip, bench, knowledge_base="b")
    assert host.calls - calls == {"get_source": 1}
    assert host.segments == before
    assert again.segments == first.segments
    assert {each.outcome for each in again.stages} == {"kept"}
    await ingest(clip, bench, knowledge_base="c")
    for tool in ("transcribe", "read_text", "find_objects", "find_faces"):
        assert host.calls[tool] == calls[tool]
    assert len(host.segments) == 2 * len(before)


async def test_two_ingests_at_once_come_to_the_same_segments(tmp_path: Path, clip: Path) -> None:
    host = FakeHost()
    bench = fake_bench(tmp_path, host)
    one, other = await asyncio.gather(*(ingest(clip, bench, knowledge_base="b") for _ in range(2)))
    assert one.source == other.source
    assert len(host.segments) == sum(one.segments.values()) == sum(other.segments.values())


@pytest.mark.parametrize("after", [0.9, 1.3, 1.7])
async def test_cut_short_and_begun_again_it_comes_to_the_same_segments(
    tmp_path: Path, clip: Path, after: float
) -> None:
    whole = FakeHost()
    await ingest(clip, fake_bench(tmp_path / "whole", whole), knowledge_base="b")
    host = FakeHost()
    host.delay = 0.05
    bench = fake_bench(tmp_path / "cut", host)
    task = asyncio.create_task(ingest(clip, bench, knowledge_base="b"))
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.done()
    await ingest(clip, bench, knowledge_base="b")
    assert host.segments == whole.segments


async def test_a_missing_model_skips_its_stage_and_a_broken_engine_fails_it(tmp_path: Path, clip: Path) -> None:
    host = FakeHost()
    host.broken = {
        "read_text": NotInstalled("No OCR here.", remedy="Install it."),
        "find_faces": EngineFailed("It crashed."),
    }
    report = await ingest(clip, fake_bench(tmp_path, host), knowledge_base="b")
    outcomes = {each.stage: (each.outcome, each.note) for each in report.stages}
    assert outcomes["screen_text"] == ("skipped", "No OCR here. Install it.")
    assert outcomes["faces"] == ("failed", "It crashed.")
    assert outcomes["speech"][0] == outcomes["objects"][0] == "done"
    host.broken = {}
    repaired = await ingest(clip, fake_bench(tmp_path, host), knowledge_base="b")
    assert repaired.segments["screen_text"] == 3
    assert repaired.segments["face"] == 4


async def test_memory_that_fails_ends_the_ingest_visibly(tmp_path: Path, clip: Path) -> None:
    host = FakeHost()
    host.broken = {"remember": EngineFailed("The store is gone.")}
    with pytest.raises(EngineFailed, match="store is gone"):
        await asyncio.wait_for(ingest(clip, fake_bench(tmp_path, host), knowledge_base="b"), 20)
    assert next(iter(host.sources.values())).state == "failed"


async def test_stages_run_beside_each_other(tmp_path: Path, clip: Path) -> None:
    host = FakeHost()
    host.delay = 0.2
    heard = list[Progress]()
    await ingest(clip, fake_bench(tmp_path, host), knowledge_base="b", progress=heard.append)
    assert host.most_running >= 3
    assert {each.stage for each in heard if each.outcome} == {
        "probe", "frames", "speech", "sounds", "screen_text", "objects", "faces", "remember",
    }  # fmt: skip


async def test_sound_alone_is_listened_to(tmp_path: Path) -> None:
    host = FakeHost()
    path = wav(tmp_path / "a.wav", np.zeros(16_000 * 3, np.float32))
    report = await ingest(path, fake_bench(tmp_path, host), knowledge_base="b")
    assert report.segments == {"speech": 1, "sound": 1}
    assert next(iter(host.sources.values())).kind == "audio"


async def test_a_long_recording_is_heard_in_parts_and_resumed_between_them(tmp_path: Path) -> None:
    host = FakeHost()
    bench = fake_bench(tmp_path, host)
    path = wav(tmp_path / "a.wav", np.zeros(16_000 * 1_200, np.float32))
    report = await ingest(path, bench, knowledge_base="b")
    assert host.calls["transcribe"] == 2
    assert report.segments["speech"] == 119
    assert [each.start for each in host.of("speech")] == [float(at) for at in np.arange(5.0, 1_190.0, 10.0)]


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"ffconcat version 1.0\nfile a.mp4\n", UnsupportedMedia), (b"\0\0\0\x18ftypisom\0\0\0\0", UnsupportedMedia)],
)
async def test_what_is_refused_says_why_and_leaves_the_next_job_alone(
    tmp_path: Path, clip: Path, data: bytes, kind: type[SutradharError]
) -> None:
    host = FakeHost()
    bench = fake_bench(tmp_path, host)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(data)
    with pytest.raises(kind):
        await ingest(bad, bench, knowledge_base="b")
    assert next(iter(host.sources.values())).reason
    assert (await ingest(clip, bench, knowledge_base="b")).segments["speech"] == 1


async def test_limits_are_checked_before_anything_is_done(tmp_path: Path, clip: Path) -> None:
    host = FakeHost()
    bench = fake_bench(tmp_path, host)
    settings = bench.settings.model_copy(update={"limits": Limits(seconds=5.0)})
    object.__setattr__(bench, "settings", settings)
    with pytest.raises(TooLarge, match="16 s"):
        await ingest(clip, bench, knowledge_base="b")
    assert not host.segments


async def test_speech_has_its_speaker_where_one_that_tells_is_installed(tmp_path: Path, clip: Path) -> None:
    class Telling(FakeHost):
        async def _diarize(self, input: Any, bench: Bench) -> Diarized:
            turns = [SpeakerTurn(start=0.0, end=1.0, speaker="A"), SpeakerTurn(start=1.0, end=9.0, speaker="B")]
            return Diarized(turns=turns, speakers=[], seconds=9.0, model=str(input.model))

    host = Telling()
    bench = fake_bench(tmp_path, host)
    row = Row(id="teller", title="T", capability="diarization", engine="none:None", licence="-", commercial=True)
    profile = bench.catalog.profiles["embedded"]
    told = profile.model_copy(update={"serves": {**profile.serves, "diarization": ["teller"]}})
    catalog = Catalog(models=[*bench.catalog.models, row], profiles={"embedded": told})
    await ingest(clip, replace(bench, catalog=catalog), knowledge_base="a")
    assert [each.speaker for each in host.of("speech")] == ["B"]
    assert host.calls["diarize"] == 1
