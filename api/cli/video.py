"""`sutradhar video`: describe, summarise, analyse a film, or write from it; by the running host or alone."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import FormData

from api.cli.ask import Asking, follow, summary
from api.cli.edge import say_json
from api.cli.host import RunningHost, running_host
from graphs.events import AGENT_EVENT, AgentEvent
from graphs.video.options import Task
from tools.bench import Bench
from tools.errors import Conflict, from_body
from tools.settings import Settings

if TYPE_CHECKING:
    from graphs.runs import Runs

_DOORS: dict[Task, str] = {
    "analyze": "analyze",
    "describe": "describe",
    "summarize": "summarize",
    "generate": "generate-content",
}


async def watch(settings: Settings, task: Task, path: Path, options: dict[str, Any], *, as_json: bool) -> None:
    """Watch a file and tell what was asked for; `options` without a value are left to their defaults."""
    given = {name: value for name, value in options.items() if value is not None}
    started = time.perf_counter()
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(running_host(settings))
        asking: Asking
        if host is not None:
            asking = _ByHost(host, task, path, given)
        else:
            from api.host import open_alone

            asking = _Alone(*await stack.enter_async_context(open_alone(settings)), task, path, given)
        told = await follow(asking, aloud=not as_json)
    if as_json:
        say_json(summary(told, round(time.perf_counter() - started, 3), whole=True))


@dataclass(frozen=True)
class _ByHost:
    host: RunningHost
    task: Task
    path: Path
    options: dict[str, Any]

    async def ask(self) -> AsyncIterator[AgentEvent]:
        form = FormData()
        for name, value in self.options.items():
            form.add_field(name, str(value))
        with self.path.open("rb") as file:
            form.add_field("video_file", file, filename=self.path.name)
            async for _, data in self.host.stream("POST", f"/api/v1/video/{_DOORS[self.task]}", data=form):
                if "error" in data:
                    raise from_body(data)
                yield AGENT_EVENT.validate_python(data)

    def resume(self, run: str, value: str) -> AsyncIterator[AgentEvent]:
        raise _never(run)


@dataclass(frozen=True)
class _Alone:
    bench: Bench
    runs: "Runs"
    task: Task
    path: Path
    options: dict[str, Any]

    async def ask(self) -> AsyncIterator[AgentEvent]:
        from api.video import looked_at, time_for
        from graphs.catalog import Ask
        from knowledge.library import LIBRARY

        bench = self.bench
        media = (await bench.media.put(self.path, name=self.path.name)).model_copy(update={"name": self.path.name})
        probe = await looked_at(bench, media)
        await bench.part(LIBRARY).own(bench.tenant, media.sha256, media.name)
        ask = Ask(question=media.name, sources=[media.sha256], options={**self.options, "task": self.task})
        budget = time_for(bench.settings, probe, self.options.get("budget"))
        run = await self.runs.start("video", ask, tenant=bench.tenant, budget=budget)
        async for _, event in self.runs.stream(run, tenant=bench.tenant):
            yield event

    def resume(self, run: str, value: str) -> AsyncIterator[AgentEvent]:
        raise _never(run)


def _never(run: str) -> Conflict:
    return Conflict(f"Run {run!r} asks something, which a video never does.", remedy="Look into the host's log.")
