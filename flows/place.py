"""The bench at which a flow works: the runner's, or one of its own where a Prefect worker started the flow alone."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

from tools.bench import Bench
from tools.errors import NotInstalled
from tools.open import open_bench
from tools.remote import RemoteHost
from tools.settings import Settings

_bench: ContextVar[Bench] = ContextVar("bench")


@asynccontextmanager
async def bench_of_host(settings: Settings) -> AsyncIterator[Bench]:
    """A bench whose tools run at this home's host; its media store is read here."""
    host = find_host(settings)
    async with open_bench(settings) as bench:
        yield replace(bench, host=host)


def find_host(settings: Settings) -> RemoteHost:
    """The host that runs for this home, by `HOME/host.json`; raises `NotInstalled` when there is none."""
    try:
        known = json.loads((settings.home / "host.json").read_text())
        key = Path(settings.home, known["key_file"]).read_text().strip() if known.get("key_file") else ""
        return RemoteHost(known["url"], key)
    except (OSError, ValueError, KeyError) as error:
        raise NotInstalled(f"No host runs for {settings.home}.", remedy="Start it: `sutradhar up`.") from error


@asynccontextmanager
async def working_at(bench: Bench) -> AsyncIterator[None]:
    """Flows that are run inside this block work at this bench."""
    token = _bench.set(bench)
    try:
        yield
    finally:
        _bench.reset(token)


@asynccontextmanager
async def bench_for(tenant: str) -> AsyncIterator[Bench]:
    """The bench of the flow that is running, for one tenant."""
    here = _bench.get(None)
    if here is not None:
        yield here.serving(tenant)
        return
    async with bench_of_host(Settings()) as bench, working_at(bench):
        yield bench.serving(tenant)


def current_bench(tenant: str) -> Bench:
    """The bench inside a task, for one tenant."""
    return _bench.get().serving(tenant)
