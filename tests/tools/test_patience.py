"""Work that nobody waits for: it steps aside for a chat model on the same CPU, and not for ever."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

import pytest

from tests.tools.engines import Fake
from tests.tools.test_residency import hold, opened, row
from tools import patience
from tools.isolation import Limits, process
from tools.residency import Residency

pytestmark = pytest.mark.anyio


@pytest.fixture
async def residency() -> AsyncIterator[Residency]:
    rows = [row("eyes"), row("chat", capability="chat"), row("far", device="gpu0", capability="chat")]
    async with opened(*rows, budgets={"cpu": 4.0, "gpu0": 4.0}) as residency:
        yield residency


async def counted(residency: Residency, until: int) -> list[int]:
    async with residency.patient().use("eyes") as lease:
        return [each async for each in lease.stream(Fake.count, until)]


@pytest.mark.parametrize("method", ["call", "stream"])
async def test_it_waits_while_somebody_chats(residency: Residency, method: str) -> None:
    release = asyncio.Event()
    chatting = asyncio.create_task(hold(residency, "chat", release))
    async with residency.use("eyes") as eager:
        await eager.call(Fake.echo, 1)
        async with residency.patient().use("eyes") as lease:
            work = lease.call(Fake.echo, 2) if method == "call" else anext(aiter(lease.stream(Fake.count, 3)))
            waiting = asyncio.ensure_future(work)
            await asyncio.sleep(0.2)
            assert not waiting.done()
            assert await eager.call(Fake.echo, 3) == 3
            release.set()
            await asyncio.wait_for(waiting, 2)
    await chatting


async def test_a_chat_model_elsewhere_is_no_reason(residency: Residency) -> None:
    release = asyncio.Event()
    chatting = asyncio.create_task(hold(residency, "far", release))
    assert await asyncio.wait_for(counted(residency, 3), 5) == [0, 1, 2]
    release.set()
    await chatting


async def test_a_chat_model_does_not_wait_for_itself(residency: Residency) -> None:
    async with residency.patient().use("chat") as lease:
        assert await asyncio.wait_for(lease.call(Fake.echo, 4), 2) == 4


async def test_under_lasting_chat_half_of_the_time_is_worked(
    residency: Residency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_MOST", 0.2)
    release = asyncio.Event()
    chatting = asyncio.create_task(hold(residency, "chat", release))
    async with residency.patient().use("eyes") as lease:
        calls, began = 0, time.monotonic()
        while time.monotonic() - began < 1.0:
            await lease.call(Fake.wait, 0.02)
            calls += 1
    assert 10 <= calls <= 35
    release.set()
    await chatting


async def test_an_engine_that_stands_back_has_a_higher_nice_value() -> None:
    async with process.spawn("tests.tools.engines:Limited", limits=Limits(nice=7)) as engine:
        assert engine.pid is not None
        assert nice_of(engine.pid) == nice_of(None) + 7


def nice_of(pid: int | None) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid or 0)
