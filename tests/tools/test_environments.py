"""A second interpreter with pins of its own: built once, shared, and an engine living there."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from api.cli import models as command
from api.models import is_installed
from tests.tools.foreign import Foreign, write_wheel
from tools.catalog import Catalog, File, Row
from tools.devices import Costs, Devices
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.events import ModelEvent
from tools.isolation import Limits, process
from tools.isolation.environments import Environments
from tools.residency import Residency
from tools.settings import Settings
from tools.store import WeightStore

pytestmark = pytest.mark.anyio

SAME = f"{sys.version_info.major}.{sys.version_info.minor}"


def row(*requirements: str, id: str = "foreign", python: str | None = SAME, **more: Any) -> Row:
    return Row(
        id=id,
        title="Foreign",
        capability="fake",
        engine="tests.tools.foreign:Foreign",
        isolation="process",
        memory=0.2,
        licence="MIT",
        commercial=True,
        python=python,
        requirements=list(requirements or ["quaint==0.3"]),
        **({"options": {"needs": "quaint"}} | more),
    )


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where packages come from."""
    folder = tmp_path / "wheels"
    for version in ("0.3", "0.4"):
        write_wheel(folder, "quaint", version)
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


def lose(interpreter: Path) -> None:
    interpreter.unlink()
    interpreter.symlink_to(interpreter.with_name("gone"))


def folders(root: Path) -> list[str]:
    return [path.name for path in root.iterdir() if path.is_dir() and path.name != "wheels"]


@asynccontextmanager
async def opened(tmp_path: Path, *rows: Row) -> AsyncIterator[Residency]:
    settings = Settings(home=tmp_path / "home", cache=tmp_path, _env_file=None)
    residency = Residency(
        Catalog(models=list(rows), profiles={}),
        Devices({"cpu": 4.0}),
        WeightStore(tmp_path, offline=True),
        settings,
        costs=Costs(tmp_path / "costs.json"),
    )
    try:
        yield residency
    finally:
        await residency.close()


async def test_two_who_ask_build_it_once(tmp_path: Path, wheels: Path) -> None:
    events = list[Any]()
    pythons = await asyncio.gather(*(Environments(tmp_path / "e").ensure(row(), events.append) for _ in range(3)))
    assert len(set(pythons)) == 1
    built = [event.note for event in events if event.note.startswith("building")]
    assert built == [f"building an environment with Python {SAME} and quaint==0.3"]
    assert [event.note for event in events][-1] == "+ quaint==0.3"
    assert folders(tmp_path / "e") == [Path(str(pythons[0])).parts[-3]]


async def test_rows_share_it_and_the_last_takes_it_away(tmp_path: Path, wheels: Path) -> None:
    environments, one, two = Environments(tmp_path), row(), row(id="other")
    await environments.ensure(one)
    assert not environments.missing(two)
    assert environments.folder(row("quaint==0.4")) != environments.folder(one)
    assert environments.folder(row(python=None)) == environments.folder(one)
    await environments.remove(one, [one, two])
    assert environments.size(one) > 0
    await environments.remove(one, [one, row("quaint==0.4")])
    assert environments.size(one) == 0
    assert environments.missing(one)


async def test_an_environment_whose_interpreter_went_is_built_again(tmp_path: Path, wheels: Path) -> None:
    environments = Environments(tmp_path)
    python = await environments.ensure(row())
    lose(environments.folder(row()) / "bin" / "python")
    assert environments.missing(row())
    assert await environments.ensure(row()) == python
    assert not environments.missing(row())


async def test_a_pin_that_nobody_has(tmp_path: Path, wheels: Path) -> None:
    events = list[ModelEvent]()
    with pytest.raises(NotInstalled, match=r"(?s)quaint==9\.9.*models fetch foreign") as caught:
        await Environments(tmp_path).ensure(row("quaint==9.9"), events.append)  # type: ignore[arg-type]
    assert "no version of quaint==9.9" in caught.value.message
    assert events[-1].state == "failed"
    assert folders(tmp_path) == []


@pytest.mark.parametrize("python", ["3.99", "/nowhere/bin/python3"])
async def test_an_interpreter_that_is_not_here(tmp_path: Path, wheels: Path, python: str) -> None:
    with pytest.raises(NotInstalled, match=python) as caught:
        await Environments(tmp_path).ensure(row(python=python))
    assert "models fetch foreign" in caught.value.remedy
    assert ("uv python install 3.99" in caught.value.remedy) == (python == "3.99")


async def test_offline_says_what_it_would_hold(tmp_path: Path, wheels: Path) -> None:
    with pytest.raises(NotInstalled, match=rf"Python {SAME} and quaint==0\.3.*switched off.*models fetch foreign"):
        await Environments(tmp_path, offline=True).ensure(row())
    await Environments(tmp_path).ensure(row())
    assert await Environments(tmp_path, offline=True).ensure(row())


async def test_without_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalled, match="pip install uv"):
        await Environments(tmp_path).ensure(row())


async def test_a_build_that_is_given_up_leaves_nothing(tmp_path: Path, wheels: Path) -> None:
    started = asyncio.Event()
    building = asyncio.create_task(Environments(tmp_path / "e").ensure(row(), lambda event: started.set()))
    await started.wait()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert folders(tmp_path / "e") == []
    assert await Environments(tmp_path / "e").ensure(row())


async def test_an_engine_lives_in_it(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTRADHAR_API_KEYS__OPENAI", "secret")
    old, new = row(), row("quaint==0.4", id="newer")
    async with opened(tmp_path, old, new) as models:
        assert "its environment is built first" in models.plan("foreign").note
        async with models.use("foreign") as first, models.use("newer") as second:
            about = await first.call(Foreign.surroundings)
            python = about.pop("python")
            assert about == {"version": "0.3", "pydantic": False, "secret": False}
            assert str(python).startswith(str(tmp_path / "environments"))
            assert (await second.call(Foreign.surroundings))["version"] == "0.4"
            for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TORCH_FORCE_WEIGHTS_ONLY_LOAD"):
                assert await first.call(Foreign.variable, name) == "1"
            with pytest.raises(InvalidInput, match="Send an even one"):
                await first.call(Foreign.refuse)
        assert models.plan("foreign").note == ""


async def test_killed_its_memory_is_back_and_the_next_call_works(tmp_path: Path, wheels: Path) -> None:
    async with opened(tmp_path, row(options={"needs": "quaint", "hog": 200})) as models:
        async with models.use("foreign") as lease:
            process = psutil.Process(lease.running.pid)
            assert process.memory_info().rss > 200 << 20
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(EngineFailed, match="SIGKILL"):
                await lease.call(Foreign.surroundings)
        async with asyncio.timeout(5):
            while models.residents():  # noqa: ASYNC110 - it leaves when the system has taken it away
                await asyncio.sleep(0.01)
        assert not psutil.pid_exists(process.pid)
        assert models.budgets()["cpu"]["used"] == 0.0
        async with models.use("foreign") as lease:
            assert (await lease.call(Foreign.surroundings))["version"] == "0.3"


async def test_code_that_came_with_weights_has_no_network(tmp_path: Path, wheels: Path) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    trusted, remote = row(), row(id="remote", trust_remote_code=True)
    python = await Environments(tmp_path / "environments").ensure(trusted)
    async with process.spawn(trusted.engine, row=trusted, python=python, limits=Limits(network=False)) as probe:
        if not probe.offline:
            pytest.skip("this kernel lets nobody leave the network")
    async with server, opened(tmp_path, trusted, remote) as models:
        async with models.use("foreign") as lease:
            assert await lease.call(Foreign.reach, port) == "reached"
        async with models.use("remote") as lease:
            assert await lease.call(Foreign.reach, port) != "reached"


async def test_the_command_line_fetches_and_removes_it(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    files = [File(name="model.bin", sources=[f"file:{tmp_path}/model.bin"])]
    one, two = row(files=files), row(id="other", files=files)
    monkeypatch.setattr(command, "load_catalog", lambda: Catalog(models=[one, two], profiles={}))
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache", _env_file=None)
    environments = Environments(settings.cache / "environments", offline=True)
    await command.fetch(settings, ["foreign", "other"], as_json=True)
    fetched = json.loads(capsys.readouterr().out)["models"]
    assert all(each["bytes"] > 10_000 for each in fetched)
    assert is_installed(one, WeightStore(settings.cache), settings)
    await command.remove(settings, ["foreign"], as_json=True)
    assert json.loads(capsys.readouterr().out) == {"removed": ["foreign"], "bytes": pytest.approx(7, abs=300)}
    assert not environments.missing(two)
    assert not is_installed(one, WeightStore(settings.cache), settings)
    await command.remove(settings, ["other"], as_json=True)
    assert json.loads(capsys.readouterr().out)["bytes"] > 10_000
    assert environments.missing(two)


async def test_arrays_pass_to_an_old_numpy(tmp_path: Path) -> None:
    old = row("numpy==1.26.4", options={"needs": "numpy"})
    try:
        await Environments(tmp_path / "environments").ensure(old)
    except NotInstalled as error:
        if "Failed to fetch" in error.message or "network" in error.message:
            pytest.skip("needs numpy 1.26.4: neither uv's cache nor a package index has it")
        raise
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    async with opened(tmp_path, old) as models, models.use("foreign") as lease:
        assert (await lease.call(Foreign.surroundings))["version"] == "1.26.4" != np.__version__
        np.testing.assert_array_equal(await lease.call(Foreign.double, values), values * 2)
