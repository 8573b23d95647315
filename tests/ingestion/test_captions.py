"""Captions come only where something new is to be seen, and once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingestion.captions import stretches_of
from ingestion.frames import Picture, Pictures
from ingestion.ingest import ingest
from ingestion.scenes import print_of
from ingestion.shots import Shot
from tests.ingestion.senses import FakeHost, fake_bench
from tests.tools.films import film, through
from tools.bench import Bench
from tools.catalog import Catalog, Row
from tools.describing import DescribedClip, DescribedImage, DescribedImages

pytestmark = pytest.mark.anyio


class Seer(FakeHost):
    """Describes images by their names."""

    async def _describe_images(self, input: Any, bench: Bench) -> DescribedImages:
        images = [DescribedImage(image=each, text=f"A picture at {each[-9:-4]}.") for each in input.images]
        return DescribedImages(images=images, model="fake-seer")

    async def _describe_clip(self, input: Any, bench: Bench) -> DescribedClip:
        text = f"{len(input.images)} pictures in a row."
        return DescribedClip(text=text, start=input.times[0], end=input.times[-1], times=input.times, model="fake-seer")


def seeing(home: Path, host: FakeHost) -> Bench:
    """A bench whose catalogue has a model that sees."""
    bench = fake_bench(home, host)
    row = Row(
        id="fake-seer",
        title="Seer",
        capability="vision-language",
        engine="tools.vision.scripted:ScriptedSeer",
        licence="-",
        commercial=True,
    )
    profile = bench.catalog.profile("embedded")
    profile = profile.model_copy(update={"serves": {**profile.serves, "vision-language": ["fake-seer"]}})
    catalog = Catalog(models=[*bench.catalog.models, row], profiles={"embedded": profile})
    object.__setattr__(bench, "catalog", catalog)
    return bench


def picture(start: float, seed: int) -> Picture:
    image = f"{'a' * 64}/frames/{start:.1f}.jpg"
    return Picture(start=start, end=start + 1, image=image, print=print_of(through(300, 270, seed=seed)))


async def test_each_new_shot_is_described_once(tmp_path: Path) -> None:
    clip = film(
        tmp_path / "a.mp4",
        draw=lambda n: through(300, 270, seed=1 + n // 40 % 3),
        frames=240,
        fps=10,
        size=(320, 180),
    )
    host = Seer()
    bench = seeing(tmp_path, host)
    report = await ingest(clip, bench, knowledge_base="b")
    # six shots, of which the last three show the first three again
    assert [(each.start, each.end) for each in host.of("caption")] == [(0, 4), (4, 8), (8, 12)]
    assert {each.made.model for each in host.of("caption")} == {"fake-seer"}
    assert report.segments["caption"] == host.calls["describe_images"] == 3
    await ingest(clip, bench, knowledge_base="c")
    assert host.calls["describe_images"] == 3
    assert len(host.of("caption")) == 6


async def test_without_a_model_that_sees_there_is_no_stage(tmp_path: Path) -> None:
    host = FakeHost()
    clip = film(tmp_path / "a.mp4", frames=30, fps=10, size=(320, 180))
    report = await ingest(clip, fake_bench(tmp_path, host), knowledge_base="b")
    assert "captions" not in {each.stage for each in report.stages}


def test_a_long_shot_is_described_again_where_it_has_changed() -> None:
    shot = Shot(start=0, end=60)
    same = Pictures(pictures=[picture(at, 1) for at in (0, 21, 42)], shots=[shot], seen_until=60)
    assert len(stretches_of(same)) == 1
    changed = Pictures(pictures=[picture(at, at) for at in (1, 22, 43)], shots=[shot], seen_until=60)
    assert [round(each.start) for each in stretches_of(changed)] == [1, 22, 43]


def test_what_moves_is_described_as_a_clip_of_few_pictures() -> None:
    shot = Shot(start=0, end=20, motion=0.4)
    pictures = [picture(float(at), 1 + at) for at in range(19)]
    (stretch,) = stretches_of(Pictures(pictures=pictures, shots=[shot], seen_until=20))
    assert stretch.moving
    assert len(stretch.pictures) <= 8
    assert np.all(np.diff([each.start for each in stretch.pictures]) > 0)
