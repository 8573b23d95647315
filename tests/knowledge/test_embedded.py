"""What only the embedded engine must prove: that it survives kills, is alone, and loses nothing while optimising."""

import asyncio
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from knowledge.embedded import EmbeddedStore, open_embedded
from knowledge.embedded_child import EmbeddedEngine
from knowledge.segment import Made, Segment, segment_id
from knowledge.store import Indexed, Query, Where
from tools.errors import Conflict, InvalidInput

pytestmark = pytest.mark.anyio

DIMENSIONS = 32


def items(first: int, last: int) -> list[Indexed]:
    def one(number: int) -> Indexed:
        segment = Segment(
            id=segment_id("film", "speech", str(number), "text"),
            knowledge_base="main",
            source=f"film{number % 4}",
            modality="speech",
            text=f"word{number} common",
            start=number,
            end=number + 1,
            made=Made(model="test"),
        )
        return Indexed(segment, unit(number))

    return [one(number) for number in range(first, last)]


def unit(seed: int) -> NDArray[np.float32]:
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def folders(store: Path) -> set[str]:
    return {each.name for each in store.iterdir() if each.is_dir()}


def kill(store: EmbeddedStore) -> None:
    assert store.pid is not None
    os.kill(store.pid, signal.SIGKILL)


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path, DIMENSIONS, 300)
    try:
        written = 0
        for delay in (0.01, 0.05, 0.1):
            task = asyncio.create_task(asyncio.sleep(delay))
            task.add_done_callback(lambda _: kill(store))
            for _ in range(3):
                await store.upsert("local", items(written, written + 80))
                written += 80
            await task
        await store.delete("local", Where(sources=["film1"]))
        kill(store)
        left = await store.scroll("local", Where(), limit=5_000)
        assert [each.start for each in left] == [float(n) for n in range(written) if n % 4 != 1]
        found = await store.search("local", Query(words="word2"))
        assert found[0].segment.text == "word2 common"
    finally:
        await store.close()


async def test_a_second_process_is_told_who_owns_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await open_embedded(tmp_path, DIMENSIONS, 300)
    try:
        started = time.monotonic()
        with pytest.raises(Conflict, match="Another process") as caught:
            await open_embedded(tmp_path, DIMENSIONS, 300)
        assert "--home" in caught.value.remedy
        assert time.monotonic() - started < 60
        await store.upsert("local", items(0, 3))
        assert await store.count("local", Where()) == 3
    finally:
        await store.close()
    reopened = await open_embedded(tmp_path, DIMENSIONS, 300)
    assert await reopened.count("local", Where()) == 3
    await reopened.close()


async def test_another_embedding_model_is_refused(tmp_path: Path) -> None:
    await (await open_embedded(tmp_path, DIMENSIONS, 300)).close()
    with pytest.raises(InvalidInput, match="32 dimensions"):
        await open_embedded(tmp_path, 64, 300)


async def test_what_was_deleted_from_an_optimised_part_does_not_count_when_it_is_opened_again(tmp_path: Path) -> None:
    async def scores(store: EmbeddedStore) -> list[float]:
        return [hit.score for hit in await store.search("local", Query(words="common word8", limit=3))]

    store = await open_embedded(tmp_path, DIMENSIONS, 200)
    try:
        await store.upsert("local", items(0, 450))
        await store.optimised()
        await store.delete("local", Where(sources=["film3"]))
        before = await scores(store)
    finally:
        await store.close()
    for _ in range(2):
        store = await open_embedded(tmp_path, DIMENSIONS, 200)
        try:
            assert await scores(store) == pytest.approx(before, rel=1e-4)
            assert await store.count("local", Where()) == 450 - 112
        finally:
            await store.close()


async def test_parts_are_optimised_aside_and_what_happens_meanwhile_is_kept(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path, DIMENSIONS, 200)
    try:
        await store.upsert("local", items(0, 450))
        # a change and a deletion while the sealed parts are on their way through the optimiser
        changed = [Indexed(each.segment.model_copy(update={"speaker": "new"}), each.vector) for each in items(0, 20)]
        await store.upsert("local", changed)
        await store.delete("local", Where(sources=["film3"]))
        await store.optimised()
        assert {"000001o", "000002o"} <= folders(tmp_path)
        left = await store.scroll("local", Where(), limit=1_000)
        assert len(left) == await store.count("local", Where()) == 450 - 112
        assert {each.start for each in left if each.speaker == "new"} == {float(n) for n in range(20) if n % 4 != 3}
        scores = [hit.score for hit in await store.search("local", Query(words="common word8", limit=3))]
    finally:
        await store.close()
    reopened = await open_embedded(tmp_path, DIMENSIONS, 200)
    try:
        assert await reopened.count("local", Where()) == 450 - 112
        again = [hit.score for hit in await reopened.search("local", Query(words="common word8", limit=3))]
        assert again == pytest.approx(scores, rel=1e-4)
    finally:
        await reopened.close()


async def test_a_crash_while_optimising_loses_nothing(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path, DIMENSIONS, 200)
    await store.upsert("local", items(0, 250))
    await store.delete("local", Where(sources=["film0"], start=0, end=100))
    kill(store)
    await store.close()
    reopened = await open_embedded(tmp_path, DIMENSIONS, 200)
    try:
        await reopened.optimised()
        assert await reopened.count("local", Where()) == 250 - 25
    finally:
        await reopened.close()


def test_an_optimised_copy_of_a_part_that_changed_is_not_taken(tmp_path: Path) -> None:
    engine = EmbeddedEngine(str(tmp_path), DIMENSIONS, 200)
    with pytest.raises(Conflict, match="changed while"):
        engine.swap("000001")
    engine.close()


def test_what_an_interrupted_step_left_behind_is_removed(tmp_path: Path) -> None:
    EmbeddedEngine(str(tmp_path), DIMENSIONS, 200).close()
    (tmp_path / "000001o").mkdir()
    (tmp_path / "000001o.copy").mkdir()
    (tmp_path / "deleted.jsonl").write_text('{"part": "000001", "ids": ["00000000-0000-0000-0000-0000')
    engine = EmbeddedEngine(str(tmp_path), DIMENSIONS, 200)
    assert engine.count("local", Where()) == 0
    assert folders(tmp_path) == {"000001"}
    engine.close()
