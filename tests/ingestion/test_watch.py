"""A long video is glanced at first; a budget of time is kept; what was watched is not watched again."""

import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ingestion.budget import FEWEST, spread
from ingestion.gathering import known
from ingestion.ingest import ingest
from ingestion.timeline import Timeline
from ingestion.watch import watch
from tests.ingestion.senses import FakeHost, fake_bench
from tests.tools.films import counting, film
from tools.errors import EngineFailed, InvalidInput

pytestmark = pytest.mark.anyio

SIZE = (320, 180)
bars = counting(*SIZE)
SECONDS = 96


def scenes(number: int) -> NDArray[np.uint8]:
    """Nine seconds each, so that none begins at a keyframe."""
    frame = bars(number // 45 + 1)
    frame[: SIZE[1] // 2] = np.random.default_rng(number // 45).integers(0, 256, 3)
    return frame


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "long.mp4"
    return film(path, draw=scenes, frames=SECONDS * 5, fps=5, size=SIZE, gop=20, tone=float(SECONDS))


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


async def watched(tmp_path: Path, clip: Path, host: FakeHost, budget: float | None = None) -> list[Timeline]:
    bench = fake_bench(tmp_path, host)
    media = await bench.media.put(clip, name=clip.name)
    return [each async for each in watch(media, bench, budget=budget)]


async def test_a_glance_comes_first_and_then_all_of_it(tmp_path: Path, clip: Path, host: FakeHost) -> None:
    first, whole = await watched(tmp_path, clip, host)
    assert not first.complete
    assert [each.name for each in first.passes] == ["coarse"]
    assert {each.modality for each in first.segments} >= {"object", "face", "screen_text"}
    assert whole.complete
    assert len(whole.shots) == 11
    assert {each.modality for each in whole.segments} == {
        "speech", "screen_text", "object", "face", "scene", "sound",
    }  # fmt: skip
    assert {each.label for each in whole.tracks} == {"person", "face"}
    assert host.segments == {}
    looked = host.calls.copy()
    assert await watched(tmp_path, clip, host) == [whole]
    assert host.calls == looked


async def test_memory_keeps_the_glance_until_the_rest_is_there(tmp_path: Path, clip: Path, host: FakeHost) -> None:
    bench = fake_bench(tmp_path, host)
    report = await ingest(clip, bench, knowledge_base="b")
    assert host.calls["forget_segments"] == 1
    timeline = await known(report.source, bench)
    assert timeline is not None
    assert {str(each.id) for each in timeline.segments} == {str(each.id) for each in host.segments.values()}
    assert sum(report.segments.values()) == len(host.segments)
    again = [each async for each in watch(await bench.media.get(report.source), bench)]
    assert [each.complete for each in again] == [True]


async def test_a_glance_outlives_an_ingest_that_died(tmp_path: Path, clip: Path, host: FakeHost) -> None:
    host.broken = {"transcribe": EngineFailed("gone")}
    bench = fake_bench(tmp_path, host)
    await ingest(clip, bench, knowledge_base="b")
    host.broken = {}
    await ingest(clip, bench, knowledge_base="b")
    whole = FakeHost()
    await ingest(clip, fake_bench(tmp_path / "whole", whole), knowledge_base="b")
    assert host.segments == whole.segments


@pytest.mark.parametrize("seconds", [5.0, 9.0])
async def test_a_budget_is_used_and_kept(tmp_path: Path, clip: Path, host: FakeHost, seconds: float) -> None:
    host.delay = 0.25
    began = time.monotonic()
    timelines = await watched(tmp_path, clip, host, budget=seconds * 3600 / SECONDS)
    took = time.monotonic() - began
    # `bench budget` holds the bar of a tenth; here a busy machine may take a little more
    assert 0.75 * seconds <= took <= 1.3 * seconds
    last = timelines[-1]
    assert not last.complete
    assert {each.name for each in last.passes} == {"coarse", "speech"}
    assert 0 < last.passes[1].covered <= 1
    assert {each.modality for each in last.segments} >= {"speech", "object", "screen_text", "scene"}


async def test_more_time_sees_and_hears_more(tmp_path: Path, clip: Path, host: FakeHost) -> None:
    host.delay = 0.25
    some = (await watched(tmp_path / "some", clip, host, budget=4.5 * 3600 / SECONDS))[-1]
    more = (await watched(tmp_path / "more", clip, host, budget=12 * 3600 / SECONDS))[-1]
    assert more.passes[0].covered > some.passes[0].covered
    assert more.passes[1].covered >= some.passes[1].covered


async def test_a_budget_that_cannot_be_met_is_refused_with_one_that_can(
    tmp_path: Path, clip: Path, host: FakeHost
) -> None:
    host.delay = 0.3
    began = time.monotonic()
    with pytest.raises(InvalidInput, match=r"too few.*smallest budget that it can meet is about \d+ s"):
        await watched(tmp_path, clip, host, budget=1.0 * 3600 / SECONDS)
    assert time.monotonic() - began < 3


async def test_a_generous_budget_ends_when_all_was_looked_at(tmp_path: Path, clip: Path, host: FakeHost) -> None:
    last = (await watched(tmp_path, clip, host, budget=200 * 3600 / SECONDS))[-1]
    assert [each.covered for each in last.passes] == [1.0, 1.0]


def test_moments_are_spread_however_many_are_taken() -> None:
    moments = list(spread(48, 96.0))
    assert sorted(moments) == [n * 2 + 1 for n in range(48)]
    for taken in (FEWEST, 12, 24):
        gaps = np.diff([0.0, *sorted(moments[:taken]), 96.0])
        assert gaps.max() <= 2.6 * 96 / taken
    assert sorted(spread(5, 100.0, first=0.0)) == [0, 20, 40, 60, 80]
    assert list(spread(1, 10.0)) == [5.0]
