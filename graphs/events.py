"""The one event union that every graph streams, and that HTTP, the console, the command line and the tests all use."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from knowledge.segment import Modality
from tools.events import Event, ModelEvent, ToolEvent


class Citation(BaseModel):
    """A place in a source that a sentence stands on; `n` is the number in the text, counted from 1.

    `source` is the source's name, `media` its content hash, `start`/`end` seconds, `page` counted from 1, `box`
    fractions of the page or frame, `thumbnail` an address on this host. A page of the web has its `url`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    source: str
    media: str
    modality: Modality
    text: str
    start: float | None = None
    end: float | None = None
    page: int | None = None
    box: tuple[float, float, float, float] | None = None
    thumbnail: str | None = None
    score: float = 0.0
    segment: str = ""
    url: str | None = None


class RunStarted(Event):
    type: Literal["run.started"] = "run.started"
    run: str
    thread: str
    graph: str


class Step(Event):
    """A node of the graph; `note` is what a person wants to know of it, such as «12 moments»."""

    type: Literal["step"] = "step"
    node: str
    state: Literal["started", "finished", "failed"]
    ms: float | None = None
    note: str = ""


class Evidence(Event):
    """Found moments, streamed before any prose."""

    type: Literal["evidence"] = "evidence"
    moments: list[Citation]


class Token(Event):
    type: Literal["token"] = "token"
    text: str


class Cited(Event):
    """A sentence was verified against this citation."""

    type: Literal["citation"] = "citation"
    citation: Citation


class Artefact(BaseModel):
    """A file that an agent made, kept in the media store; its tenant reads it at `/api/v1/media/{media}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    media: str
    media_type: str
    size: int


class Answer(Event):
    """The whole answer. `answered` is false for an honest «not in the material».

    `result` is what the agent found or made beside the prose, as its declaration says; `artefacts` are its files.
    `agent` is the one that answered, where the router chose it.
    """

    type: Literal["answer"] = "answer"
    text: str
    answered: bool
    citations: list[Citation]
    result: dict[str, JsonValue] | None = None
    artefacts: tuple[Artefact, ...] = ()
    agent: str = ""


class Question(Event):
    """The run waits for a person; resume it with a value that fits `options` when there are any.

    `approves` is the key of the tool call that a yes allows.
    """

    type: Literal["question"] = "question"
    id: str
    text: str
    options: tuple[str, ...] = ()
    approves: str = ""


class Failure(Event):
    type: Literal["error"] = "error"
    message: str
    remedy: str = ""
    code: str = "internal_error"


class Usage(BaseModel):
    model_config = ConfigDict(frozen=True)

    steps: int = 0
    chat_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


class RunFinished(Event):
    """The last event of every run. `reason` says why a partial run ended, such as a spent budget."""

    type: Literal["run.finished"] = "run.finished"
    run: str
    status: Literal["done", "waiting", "partial", "failed", "cancelled"]
    reason: str = ""
    usage: Usage = Usage()


AgentEvent = Annotated[
    RunStarted | Step | ToolEvent | ModelEvent | Evidence | Token | Cited | Answer | Question | Failure | RunFinished,
    Field(discriminator="type"),
]

AGENT_EVENT: TypeAdapter[AgentEvent] = TypeAdapter(AgentEvent)
