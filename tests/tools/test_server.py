"""Servers as children: started, found ready, slept, woken, restarted and ended."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.tools.engines import Fake
from tests.tools.test_residency import Shelf, opened
from tools.admission import Resident
from tools.catalog import Row
from tools.chat.vllm import Vllm
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.isolation import server

pytestmark = pytest.mark.anyio


def row(id: str = "fake", memory: float = 1.0, device: str = "cpu", **options: Any) -> Row:
    return Row(
        id=id,
        title=id.title(),
        capability="chat",
        engine="tests.tools.fake_server:FakeServer",
        isolation="server",
        device=device,
        memory=memory,
        licence="MIT",
        commercial=True,
        options=options,
    )


@asynccontextmanager
async def started(**options: Any) -> AsyncIterator[server.ServerEngine]:
    running = await server.start(row(**options), {}, "gpu:1")
    try:
        yield running
    finally:
        await running.close()


async def calls(running: Any) -> dict[str, Any]:
    root = running.endpoint.url.removesuffix("/v1")
    headers = {"Authorization": f"Bearer {running.endpoint.key}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{root}/calls") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def test_it_is_ready_behind_a_key_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTRADHAR_API_KEYS__OPENAI", "sk-secret")
    monkeypatch.setenv("SOME_API_KEY", "sk-secret")
    async with started() as running:
        pid = running.pid or 0
        seen = await calls(running)
        assert "sk-secret" not in seen["environment"].values()
        # other users of the machine can read command lines
        assert running.endpoint.key not in " ".join(psutil.Process(pid).cmdline())
        async with aiohttp.ClientSession() as session, session.get(f"{running.endpoint.url}/x") as answer:
            assert answer.status == 401
        with pytest.raises(InvalidInput, match="endpoint"):
            await running.call(Fake.echo, 1)
    assert not psutil.pid_exists(pid)


async def test_one_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_STOP_SECONDS", 0.3)
    async with started(deaf=True) as running:
        pid = running.pid or 0
    assert not psutil.pid_exists(pid)


async def test_a_start_that_fails_says_why() -> None:
    with pytest.raises(EngineFailed, match=r"(?s)ended while it was loading.*no such weights"):
        await server.start(row(fall=True), {}, "cpu")
    with pytest.raises(EngineFailed, match="did not answer '/health'"):
        await server.start(row(load=30), {}, "cpu", ready_seconds=0.5)
    assert not [each for each in psutil.Process().children() if "fake_server" in " ".join(each.cmdline())]


async def test_it_is_started_again_after_a_crash() -> None:
    async with opened(row()) as residency:
        async with residency.use("fake") as lease:
            pid = lease.running.pid
            os.kill(pid or 0, signal.SIGKILL)
            await asyncio.sleep(0.2)
        async with residency.use("fake") as lease:
            assert lease.running.pid != pid
            assert (await calls(lease))["calls"] == []


@pytest.mark.parametrize(("memory", "expected"), [(8.0, ["/sleep", "/wake_up"]), (0.5, [])])
async def test_one_that_can_sleep_makes_room_asleep(
    monkeypatch: pytest.MonkeyPatch, memory: float, expected: list[str]
) -> None:
    """On a pretended GPU: where main memory has the room it sleeps, else it ends."""
    rows = [row("sleeper", 3.0, "gpu:0", sleeps=True), row("other", 3.0, "gpu:0")]
    async with opened(*rows, budgets={"gpu:0": 4.0, "cpu": memory}) as residency:
        monkeypatch.setattr(residency._devices, "used_by", lambda pid, device: None)
        async with residency.use("sleeper") as lease:
            pid = lease.running.pid
        async with residency.use("other"):
            sleeper: Resident | None = residency._ledger.residents.get("sleeper")
            assert (sleeper is not None) == bool(expected)
            if sleeper is not None:
                assert sleeper.state == "asleep"
                assert sleeper.held == {"gpu:0": 1.0, "cpu": 3.0}
        async with residency.use("sleeper") as lease:
            assert (await calls(lease))["calls"] == expected
            assert (lease.running.pid == pid) == bool(expected)
            assert residency.budgets()["cpu"]["used"] == 0


def test_vllm_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.chat.vllm.total", lambda device: 96.0)
    python = tmp_path / "bin" / "python"
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.touch()
    llama = row("codellama-34b-instruct", 20, "gpu:1", quantization="awq").model_copy(
        update={"context": 16384, "python": str(python)}
    )
    files = {"config.json": tmp_path / "weights" / "config.json"}
    command = Vllm.command(llama, files, "gpu:1", 4321)
    assert command[:3] == [str(program), "serve", str(tmp_path / "weights")]
    pairs = dict(pairwise(command))
    assert pairs["--port"] == "4321"
    assert pairs["--quantization"] == "awq"
    assert pairs["--max-model-len"] == "16384"
    assert pairs["--gpu-memory-utilization"] == "0.208"
    assert pairs["--served-model-name"] == "codellama-34b-instruct"
    assert "--enable-sleep-mode" in command
    environment = Vllm.environment(llama, "gpu:1", "secret")
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert "secret" not in command
    hub = llama.model_copy(update={"options": {"model": "codellama/CodeLlama-34b", "tensor_parallel": 2}})
    assert Vllm.command(hub, {}, "gpu:0", 1)[2] == "codellama/CodeLlama-34b"
    assert Vllm.environment(hub, "gpu:0", "secret")["CUDA_VISIBLE_DEVICES"] == "0,1"
    program.unlink()
    with pytest.raises(NotInstalled, match="pip install vllm"):
        Vllm.command(llama, files, "gpu:1", 4321)


async def test_an_absent_engine_is_named() -> None:
    vllm = row("mistral", 1.0, model="mistral/7b").model_copy(
        update={"engine": "tools.chat.vllm:Vllm", "python": "/no/python"}
    )
    async with opened(vllm, weights=Shelf()) as residency:
        with pytest.raises(NotInstalled):
            async with residency.use("mistral"):
                pass
        assert residency.residents() == []
