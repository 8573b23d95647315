"""Questions to knowledge bases over one socket: `WS /api/v1/rag/stream`.

Messages are JSON. From the caller: `ask` (a question as `POST /api/v1/rag/generate` takes it; `thread`, `ref`),
`cancel` (a `run`), `reply` (a `value` to the question that a `run` waits with) and `resume` (a `last_event_id`).
From us: `accepted` (with the caller's `ref`), the run's typed events as on every other door, each with its `event_id`,
`shown` (the frames or moments behind the citations, when they were asked for), and `error`. A caller who lost the
connection opens another one and resumes; the run went on.
"""

import asyncio
from contextlib import aclosing, suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.chat import number_in
from api.deps import host, tenant
from api.failures import from_validation
from api.listen import close_code, next_message
from api.rag import Modality, Wanted, begin, show
from graphs.events import Answer
from tools.errors import Busy, InvalidInput, SutradharError

router = APIRouter()

_AT_ONCE = 8
"""Runs that one socket follows at the same time."""
_MESSAGE = 100_000


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid")


RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class AskMessage(Wanted):
    """`thread` goes on with a conversation; `ref` comes back with `accepted`."""

    type: Literal["ask"]
    thread: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    ref: Annotated[str, Field(max_length=200)] = ""

    def wanted(self) -> Wanted:
        return Wanted(**{name: getattr(self, name) for name in Wanted.model_fields})


class CancelMessage(_Said):
    type: Literal["cancel"]
    run: RunId


class ReplyMessage(_Said):
    type: Literal["reply"]
    run: RunId
    value: Any


class ResumeMessage(_Said):
    type: Literal["resume"]
    last_event_id: Annotated[str, Field(max_length=200)]
    modality: Modality = "text"


Message = AskMessage | CancelMessage | ReplyMessage | ResumeMessage
_MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


@router.websocket("/api/v1/rag/stream")
async def stream(socket: WebSocket) -> None:
    await socket.accept()
    talk = Talk(socket)
    with suppress(WebSocketDisconnect):
        try:
            with talk.host.streams.one():
                await talk.go_on()
        except SutradharError as error:
            await talk.send({"type": "error", **error.body()})
            await socket.close(close_code(error), error.message[:100])


class Talk:
    """One socket and the runs that it follows. A run belongs to nobody's socket: it goes on when this one ends."""

    def __init__(self, socket: WebSocket) -> None:
        self.host = host(socket)
        self._socket, self._tenant = socket, tenant(socket)
        self._bench = self.host.bench.serving(self._tenant)
        self._following: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()

    async def send(self, message: dict[str, Any]) -> None:
        async with self._sending:
            try:
                await self._socket.send_json(message)
            except RuntimeError as error:
                # starlette's word for a socket that was closed meanwhile
                raise WebSocketDisconnect from error

    async def go_on(self) -> None:
        """Take messages until the caller leaves; one that cannot be done is told, and the others go on."""
        try:
            while True:
                ref = ""
                try:
                    given = await next_message(self._socket, most=_MESSAGE, idle=None)
                    ref = str(given.get("ref", ""))[:200] if isinstance(given, dict) else ""
                    await self._do(_message(given))
                except SutradharError as error:
                    await self.send({"type": "error", **({"ref": ref} if ref else {}), **error.body()})
        finally:
            for task in self._following.values():
                task.cancel()
            await asyncio.gather(*self._following.values(), return_exceptions=True)

    async def _do(self, message: Message) -> None:
        match message:
            case AskMessage():
                self._admit()
                run = await begin(self.host, self._bench, message.wanted(), message.thread)
                row = await self.host.runs.run(run, tenant=self._tenant)
                await self.send({"type": "accepted", "run": run, "thread": row.thread, "ref": message.ref})
                self._follow(run, 0, message.modality)
            case CancelMessage():
                await self.host.runs.cancel(message.run, tenant=self._tenant)
            case ReplyMessage():
                self._admit()
                seen = [seq async for seq, _ in self.host.runs.stream(message.run, tenant=self._tenant)]
                await self.host.runs.resume(message.run, message.value, tenant=self._tenant)
                self._follow(message.run, seen[-1] if seen else 0, "text")
            case ResumeMessage():
                self._admit()
                run = message.last_event_id.rpartition(":")[0]
                after = number_in(run, message.last_event_id)
                await self.host.runs.run(run, tenant=self._tenant)
                self._follow(run, after, message.modality)

    def _admit(self) -> None:
        if len(self._following) >= _AT_ONCE:
            raise Busy(f"This socket follows {_AT_ONCE} runs.", remedy="Wait for one, or cancel it.", retry_after=5.0)

    def _follow(self, run: str, after: int, modality: Modality) -> None:
        if (before := self._following.pop(run, None)) is not None:
            before.cancel()
        task = self._following[run] = asyncio.create_task(self._tell(run, after, modality))
        task.add_done_callback(lambda done: self._forget(run, done))

    def _forget(self, run: str, done: asyncio.Task[None]) -> None:
        if self._following.get(run) is done:
            del self._following[run]

    async def _tell(self, run: str, after: int, modality: Modality) -> None:
        """A run's events after a number, as long as it lasts and somebody is there."""
        with suppress(WebSocketDisconnect):
            try:
                async with aclosing(self.host.runs.stream(run, after, tenant=self._tenant)) as numbered:  # type: ignore[type-var]
                    async for seq, event in numbered:
                        await self.send({"event_id": f"{run}:{seq}", **event.model_dump(mode="json")})
                        if isinstance(event, Answer) and modality != "text":
                            await self._show(run, event, modality)
            except SutradharError as error:
                await self.send({"type": "error", "run": run, **error.body()})

    async def _show(self, run: str, answer: Answer, modality: Modality) -> None:
        shown, notes = await show(answer.citations, modality, self._bench)
        items = [each.model_dump(mode="json") for each in shown]
        await self.send({"type": "shown", "run": run, "modality": modality, "shown": items, "notes": notes})


def _message(given: bytes | dict[str, Any]) -> Message:
    if isinstance(given, bytes):
        raise InvalidInput("This socket takes no binary messages.", remedy='Send {"type": "ask", "query": …}.')
    try:
        return _MESSAGES.validate_python(given)
    except ValidationError as error:
        raise from_validation(error) from error
