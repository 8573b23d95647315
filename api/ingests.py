"""Handing a stored medium to the flow runner, and what becomes of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from api.host import Host
from knowledge.library import LIBRARY, Library, Source, SourceChange
from knowledge.tools import ForgetInput
from knowledge.tools import forget as forget_tool
from tools.errors import Busy, NotFound, NotInstalled
from tools.media.store import Media

if TYPE_CHECKING:
    from flows.server import PrefectServer

_POLL_SECONDS = 0.5
_START_SECONDS = 90.0
_SETTLING = 6
_STOP_SECONDS = 30.0


async def submit(host: Host, media: Media, *, knowledge_base: str, tenant: str) -> str:
    """Have a stored medium ingested; returns the flow run. Its source is in the library from now on."""
    from flows.client import open_flows

    server = await _prefect(host)
    library = host.bench.part(LIBRARY)
    if not await _ready(library, tenant, knowledge_base, media.sha256):
        change = SourceChange(name=media.name, state="queued", reason="")
        await library.put(tenant, knowledge_base, media.sha256, change)
    async with open_flows(server) as flows:
        return await flows.submit(media, knowledge_base=knowledge_base, tenant=tenant)


async def forget(host: Host, sha: str, *, knowledge_base: str, tenant: str) -> None:
    """Forget a source and all that was remembered of it, stopping its ingest first. Raises `NotFound`."""
    bench = host.bench.serving(tenant)
    source = await bench.part(LIBRARY).get(tenant, knowledge_base, sha)
    if source.state in {"queued", "running"}:
        await _stop(host, sha, knowledge_base, tenant)
    await bench.call(forget_tool, ForgetInput(knowledge_base=knowledge_base, sha256=sha))


async def _stop(host: Host, sha: str, knowledge_base: str, tenant: str) -> None:
    from flows.client import open_flows
    from flows.server import find_prefect

    server = await asyncio.to_thread(find_prefect, host.settings)
    if server is None:
        return
    try:
        # otherwise it would go on and bring back what is being forgotten
        async with asyncio.timeout(_STOP_SECONDS), open_flows(server) as flows:
            await flows.stop(sha, knowledge_base=knowledge_base, tenant=tenant)
    except TimeoutError as error:
        raise Busy("The ingest of this source has not stopped yet.", remedy="Try again.", retry_after=5.0) from error


async def _ready(library: Library, tenant: str, knowledge_base: str, sha: str) -> bool:
    """Whether it has been learnt before; the flow then sees for itself that there is nothing to do."""
    try:
        return (await library.get(tenant, knowledge_base, sha)).state == "ready"
    except NotFound:
        return False


async def _prefect(host: Host) -> "PrefectServer":
    """The Prefect server; a host that has just begun waits for the one that starts beside it."""
    from flows.server import find_prefect

    while (server := await asyncio.to_thread(find_prefect, host.settings)) is None:
        if time.time() - host.started > _START_SECONDS:
            raise NotInstalled(
                "This host has no flow runner, which ingests.", remedy="Start the host with `sutradhar up`."
            )
        await asyncio.sleep(_POLL_SECONDS)
    return server


async def follow(host: Host, tenant: str, knowledge_base: str, sha: str) -> AsyncIterator[Source]:
    """The source each time it has changed, until it is ready or has failed. Raises `NotFound` when it is forgotten."""
    library, last = host.bench.part(LIBRARY), None
    settling = _SETTLING
    while last is None or settling > 0:
        source = await library.get(tenant, knowledge_base, sha)
        if source != last:
            yield source
        last = source
        if source.state in ("ready", "failed"):
            # the last stages tell their end a moment after the source does
            busy = any(stage.state == "running" for stage in source.stages.values())
            settling = settling - 1 if busy else 0
        if settling:
            await asyncio.sleep(_POLL_SECONDS)
    seconds = sum(stage.seconds or 0.0 for stage in last.stages.values())
    host.metrics.ingest.labels(last.kind).observe(seconds)
