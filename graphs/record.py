"""What is remembered of a run's tool calls: what people decided of them, and what those with an effect gave."""

import asyncio
import zlib

from langgraph.types import interrupt

from graphs.log import EventLog
from tools.policy import ALL, NO, YES, unknown_end


class RunRecord:
    """The record of one run, in the event log's file; a question is LangGraph's interrupt."""

    def __init__(self, run: str, log: EventLog) -> None:
        self._run = run
        self._log = log
        self._running: dict[str, asyncio.Event] = {}

    async def decided(self, key: str) -> bool | None:
        return await self._log.decided(self._run, key)

    def ask(self, text: str, key: str) -> None:
        interrupt({"text": text, "options": [YES, NO, ALL], "approves": key})

    async def begin(self, call: str) -> str | None:
        while call in self._running:
            # the same call made twice at once is one call
            await self._running[call].wait()
        self._running[call] = asyncio.Event()
        new, output = await self._log.begin_call(self._run, call)
        if new:
            return None
        self.leave(call)
        if output is None:
            raise unknown_end(call)
        return zlib.decompress(output).decode()

    async def end(self, call: str, output: str | None) -> None:
        await self._log.end_call(self._run, call, None if output is None else zlib.compress(output.encode()))
        self.leave(call)

    def leave(self, call: str) -> None:
        self._running.pop(call).set()
