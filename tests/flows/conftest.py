"""A real Prefect server for all flow tests; a fake host and a real flow runner for each that asks."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flows.children import child
from flows.client import Flows, open_flows
from flows.server import PrefectServer, environment, open_prefect
from tests.flows.host import FakeHost, open_fake_host
from tools.settings import Prefect, Settings


@pytest.fixture(scope="session")
async def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flows") / "home"


@pytest.fixture(scope="session")
def flow_settings(home: Path) -> Settings:
    return Settings(home=home, prefect=Prefect(port=0, watch_seconds=5), offline=True, _env_file=None)


@pytest.fixture(scope="session")
async def server(flow_settings: Settings) -> AsyncIterator[PrefectServer]:
    async with open_prefect(flow_settings) as server:
        yield server


@pytest.fixture(scope="session")
async def host(flow_settings: Settings) -> AsyncIterator[FakeHost]:
    async with open_fake_host(FakeHost(flow_settings), flow_settings.home) as host:
        yield host


@pytest.fixture(scope="session")
async def flows(server: PrefectServer) -> AsyncIterator[Flows]:
    async with open_flows(server) as flows:
        yield flows


@asynccontextmanager
async def runner(settings: Settings, server: PrefectServer) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m flows.serve` as `sutradhar up` starts it."""
    env = environment(settings, server) | {
        "SUTRADHAR_HOME": str(settings.home),
        "SUTRADHAR_PREFECT__WATCH_SECONDS": str(settings.prefect.watch_seconds),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    async with child("flows.serve", env=env, log=settings.home / "prefect" / "runner.log") as process:
        yield process


@pytest.fixture(scope="session")
async def serving(
    flow_settings: Settings, server: PrefectServer, host: FakeHost
) -> AsyncIterator[asyncio.subprocess.Process]:
    async with runner(flow_settings, server) as process:
        yield process
