import asyncio

import pytest

from tools.batching import Coalescer

pytestmark = pytest.mark.anyio


class Counting:
    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    async def run(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await asyncio.sleep(0.02)
        if 13 in items:
            raise ValueError("13")
        return [2 * item for item in items]


async def test_concurrent_requests_share_calls() -> None:
    counting = Counting()
    double = Coalescer(counting.run, most=32)
    answers = await asyncio.gather(*(double([n, n + 100]) for n in range(20, 60)))
    assert answers == [[2 * n, 2 * n + 200] for n in range(20, 60)]
    assert len(counting.batches) <= 5
    assert max(map(len, counting.batches)) <= 32


async def test_alone_it_is_not_held_up() -> None:
    counting = Counting()
    double = Coalescer(counting.run, window=5.0)
    async with asyncio.timeout(1):
        assert await double([1]) == [2]
        assert await double([]) == []


async def test_an_error_reaches_its_own_requests() -> None:
    double = Coalescer(Counting().run, most=1)
    good, bad, after = await asyncio.gather(double([1]), double([13]), double([2]), return_exceptions=True)
    assert good == [2]
    assert isinstance(bad, ValueError)
    assert after == [4]


async def test_who_gives_up_is_not_worked_for() -> None:
    counting = Counting()
    double = Coalescer(counting.run, most=1)
    first, second = asyncio.create_task(double([1])), asyncio.create_task(double([2]))
    await asyncio.sleep(0.005)
    second.cancel()
    assert await first == [2]
    assert await double([3]) == [6]
    assert counting.batches == [[1], [3]]
