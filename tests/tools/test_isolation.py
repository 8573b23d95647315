"""Threads and child processes: calls, streams, faults, limits."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pytest

from tests.tools.engines import Fake, Limited, Part
from tools.catalog import Row
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.isolation import Limits, Running, process, thread

pytestmark = pytest.mark.anyio


def row(**options: str | float) -> Row:
    return Row(
        id="fake",
        title="Fake",
        capability="fake",
        engine="tests.tools.engines:Fake",
        licence="MIT",
        commercial=True,
        options=dict(options),
    )


@pytest.fixture(params=["thread", "process"])
async def running(request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    if request.param == "thread":
        engine: Running = await thread.start(row(), {}, "cpu")
    else:
        engine = await process.start(row().engine, row=row())
    yield engine
    await engine.close()


@pytest.fixture
async def child() -> AsyncIterator[process.ChildEngine]:
    async with process.spawn(row().engine, row=row(), device="gpu:1") as engine:
        yield engine


async def collect(items: AsyncIterator[int], into: list[int]) -> None:
    async for each in items:
        into.append(each)  # noqa: PERF401 - what came before an error counts


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - polling another process
            await asyncio.sleep(0.01)


async def test_values_arrive_as_their_types(running: Running) -> None:
    data = np.arange(6, dtype=np.float32).reshape(2, 3)
    parts = [Part("a", (0.0, 1.5), data), Part("b", (1.0, 2.0))]
    answer = await running.call(Fake.parts, parts, offset=1.0)
    assert isinstance(answer[0][0], Part)
    assert answer[0][0].box == (0.0, 1.5)
    np.testing.assert_array_equal(answer[0][0].data, data * 2 + 1)
    assert answer[1][0] == parts[1]


async def test_large_and_empty_arrays(running: Running) -> None:
    large = np.random.default_rng(0).random(4_000_000, dtype=np.float32)
    np.testing.assert_array_equal(await running.call(Fake.double, large), large * 2)
    empty = await running.call(Fake.double, np.zeros((0, 3), np.float32))
    assert empty.shape == (0, 3)


async def test_concurrent_calls_get_their_own_answers(running: Running) -> None:
    assert await asyncio.gather(*(running.call(Fake.echo, n) for n in range(50))) == list(range(50))


async def test_streams_in_order_and_keeps_the_loop_free(running: Running) -> None:
    gaps, last = [], time.perf_counter()

    async def tick() -> None:
        nonlocal last
        while True:
            await asyncio.sleep(0.005)
            gaps.append(time.perf_counter() - last)
            last = time.perf_counter()

    ticking = asyncio.create_task(tick())
    assert [n async for n in running.stream(Fake.count, 30, 0.01)] == list(range(30))
    ticking.cancel()
    assert max(gaps) < 0.25


async def test_a_consumer_that_stops_closes_the_generator(running: Running, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async for n in running.stream(Fake.count, 10_000, 0.001, str(log)):
        if n == 3:
            break
    await until(log.exists)
    assert await running.call(Fake.echo, 1) == 1


async def test_a_slow_stream_holds_up_nobody(running: Running) -> None:
    stream = cast("Any", running.stream(Fake.count, 1000))
    assert await anext(stream) == 0
    async with asyncio.timeout(5):
        assert await running.call(Fake.echo, 7) == 7
    await stream.aclose()


async def test_errors_arrive(running: Running) -> None:
    with pytest.raises(InvalidInput, match=r"odd.*even") as caught:
        await running.call(Fake.refuse)
    assert caught.value.param == "value"
    got: list[int] = []
    with pytest.raises(EngineFailed, match="half way"):
        await collect(running.stream(Fake.fail_after, 3), got)
    assert got == [0, 1, 2]


async def test_a_crash_ends_its_own_calls_only(child: process.ChildEngine) -> None:
    got: list[int] = []
    with pytest.raises(EngineFailed, match=r"(?s)SIGSEGV.*about to fall"):
        await collect(child.stream(Fake.crash_after, 3), got)
    assert got == [0, 1, 2]
    assert not child.alive
    with pytest.raises(EngineFailed, match="SIGSEGV"):
        await child.call(Fake.echo, 1)


async def test_kill_fails_the_call_in_flight(child: process.ChildEngine) -> None:
    call = asyncio.ensure_future(child.call(Fake.wait, 60.0))
    await asyncio.sleep(0.1)
    os.kill(child.pid or 0, signal.SIGKILL)
    async with asyncio.timeout(5):
        with pytest.raises(EngineFailed, match="SIGKILL"):
            await call


async def test_close_ends_the_process_and_its_calls(child: process.ChildEngine) -> None:
    call = asyncio.ensure_future(child.call(Fake.wait, 60.0))
    await asyncio.sleep(0.1)
    await child.close()
    assert not psutil.pid_exists(child.pid or 0)
    with pytest.raises(EngineFailed):
        await call


async def test_a_cancelled_call_is_not_started(child: process.ChildEngine, tmp_path: Path) -> None:
    first = asyncio.ensure_future(child.call(Fake.wait, 0.3))
    stream = asyncio.ensure_future(anext(cast("Any", child.stream(Fake.count, 5, 0.0, str(tmp_path / "log")))))
    await asyncio.sleep(0.1)
    stream.cancel()
    assert await first == 0.3
    assert await child.call(Fake.echo, 5) == 5
    assert not (tmp_path / "log").exists()


async def test_nonsense_is_an_error(child: process.ChildEngine) -> None:
    def nonsense(self: Fake) -> int: ...  # type: ignore[empty-body]

    with pytest.raises(EngineFailed, match="nonsense"):
        await child.call(nonsense)


async def test_its_own_process_and_device(child: process.ChildEngine) -> None:
    assert await child.call(Fake.where) == (child.pid, "gpu:1")


async def test_a_load_that_fails_leaves_nothing(tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.touch()
    before = set(psutil.Process().children())
    with pytest.raises(EngineFailed, match="torn"):
        await process.start(row().engine, row=row(fails=str(torn)))
    with pytest.raises(EngineFailed, match="torn"):
        await thread.start(row(fails=str(torn)), {}, "cpu")
    with pytest.raises(EngineFailed, match="within"):
        await process.start(row().engine, row=row(load=30), load_seconds=0.5)
    assert set(psutil.Process().children()) == before


async def test_what_is_missing_is_named() -> None:
    with pytest.raises(NotInstalled, match="no_such_module"):
        await process.start("tests.tools.no_such_module:Engine", options={})
    with pytest.raises(NotInstalled, match="interpreter"):
        await process.start("tests.tools.engines:Limited", options={}, python="/no/such/python")


async def test_another_interpreter(tmp_path: Path) -> None:
    """Our packages are found there, their neighbours are not."""
    package = tmp_path / "old"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "engine.py").write_text(
        "import sys\nclass Old:\n    def __init__(self, row, files, device): self.row = row\n"
        "    def path(self) -> list: return [self.row.id, 'tools' in sys.modules, *sys.path]\n",
        encoding="utf-8",
    )
    python = tmp_path / "python"
    python.symlink_to(sys._base_executable)  # type: ignore[attr-defined]
    sys.path.insert(0, str(tmp_path))
    try:
        async with process.spawn("old.engine:Old", row=row(), python=str(python)) as child:

            def path(self: Any) -> list[Any]: ...  # type: ignore[empty-body]

            answer = await child.call(path)
    finally:
        sys.path.remove(str(tmp_path))
    assert answer[0] == "fake"
    assert answer[1] is True
    assert not any("isolation" in str(each) or str(tmp_path) == each for each in answer[2:])


async def test_limits() -> None:
    limits = Limits(memory=600 << 20, cpu_seconds=1, network=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with process.spawn("tests.tools.engines:Limited", options={"start": 40}, limits=limits) as child:
            assert await child.call(Limited.add, 2) == 42
            with pytest.raises(EngineFailed, match="MemoryError"):
                await child.call(Limited.take, 2000)
            if child.offline:
                assert await child.call(Limited.dial, server.getsockname()[1]) != "connected"
            async with asyncio.timeout(20):
                with pytest.raises(EngineFailed, match=r"SIGXCPU|SIGKILL"):
                    await child.call(Limited.spin)


async def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import asyncio, time\nfrom tests.tools.engines import Fake\nfrom tests.tools.test_isolation import row\n"
        "from tools.isolation import process\n"
        "async def main():\n"
        "    child = await process.start(row().engine, row=row())\n"
        "    print(child.pid, flush=True)\n"
        "    await child.call(Fake.wait, 60.0)\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    assert psutil.pid_exists(pid)
    parent.kill()
    await parent.wait()
    await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
