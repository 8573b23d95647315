"""Those who wait for a turn get it in their order; whoever leaves takes nobody's turn along."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from ingestion.stages import Progress, unheard
from ingestion.turns import Turns

pytestmark = pytest.mark.anyio


async def test_a_few_at_once_and_the_others_in_their_order() -> None:
    turns, running, most, order = Turns(2), 0, 0, list[int]()

    async def work(number: int) -> None:
        nonlocal running, most
        async with turns.turn(unheard):
            running, order_before = running + 1, len(order)
            most = max(most, running)
            order.append(number)
            await asyncio.sleep(0.01)
            assert len(order) > order_before
            running -= 1

    await asyncio.gather(*(work(number) for number in range(9)))
    assert (most, order) == (2, list(range(9)))


async def test_who_waits_is_told_how_many_are_before() -> None:
    turns, heard = Turns(1), list[Progress]()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(turns.turn(unheard))

        async def wait(listener: list[Progress]) -> None:
            async with turns.turn(listener.append):
                pass

        first = asyncio.create_task(wait([]))
        second = asyncio.create_task(wait(heard))
        await asyncio.sleep(0)
        assert heard[-1].note == "2 other videos are watched first"
        first.cancel()
        await asyncio.sleep(0)
    await second
    assert first.cancelled()


async def test_a_turn_given_to_one_who_has_just_left_goes_on() -> None:
    turns = Turns(1)

    async def wait() -> None:
        async with turns.turn(unheard):
            pass

    async with turns.turn(unheard):
        leaver, other = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0)
    # the turn was given to the leaver, who has not run since
    leaver.cancel()
    await asyncio.wait_for(other, 1)
    async with asyncio.timeout(1), turns.turn(unheard):
        pass
