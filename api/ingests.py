"""Handing a stored medium to the flow runner, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator

from api.host import Host
from knowledge.library import LIBRARY, Source, SourceChange
from tools.errors import NotInstalled
from tools.media.store import Media

_POLL_SECONDS = 0.5


async def submit(host: Host, media: Media, *, knowledge_base: str, tenant: str) -> str:
    """Have a stored medium ingested; returns the flow run. Its source is in the library from now on."""
    from flows.client import open_flows
    from flows.server import find_prefect

    server = await asyncio.to_thread(find_prefect, host.settings)
    if server is None:
        raise NotInstalled("This host has no flow runner, which ingests.", remedy="Start the host with `sutradhar up`.")
    library = host.bench.part(LIBRARY)
    await library.put(tenant, knowledge_base, media.sha256, SourceChange(name=media.name, state="queued", reason=""))
    async with open_flows(server) as flows:
        return await flows.submit(media, knowledge_base=knowledge_base, tenant=tenant)


async def follow(host: Host, tenant: str, knowledge_base: str, sha: str) -> AsyncIterator[Source]:
    """The source each time it has changed, until it is ready or has failed. Raises `NotFound` when it is forgotten."""
    library, last = host.bench.part(LIBRARY), None
    while last is None or last.state not in ("ready", "failed"):
        source = await library.get(tenant, knowledge_base, sha)
        if source != last:
            yield source
        last = source
        if source.state not in ("ready", "failed"):
            await asyncio.sleep(_POLL_SECONDS)
    seconds = sum(stage.seconds or 0.0 for stage in last.stages.values())
    host.metrics.ingest.labels(last.kind).observe(seconds)
