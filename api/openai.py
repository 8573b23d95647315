"""The OpenAI-compatible door: the agents and the local chat models as models, and embeddings."""

import base64
from itertools import pairwise
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.chat import Limits, conclude
from api.completions import Completion, completion_frames
from api.deps import BenchDep, HostDep, TenantDep
from api.proxy import forward
from api.sse import EventStream
from graphs.catalog import MODEL, Ask, Turn
from graphs.context import guess_tokens
from graphs.conversation import LAST, TURNS
from tools.bench import Bench
from tools.catalog import Row
from tools.embedding import TEXT_EMBEDDING, TextEmbedding, Vectors
from tools.errors import InvalidInput
from tools.speech import SPEECH_TO_TEXT
from tools.voice import TEXT_TO_SPEECH

router = APIRouter(prefix="/v1", tags=["openai"])


class Message(BaseModel):
    """One message; of content parts only text is read."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(str(part.get("text", "")) for part in self.content if part.get("type") == "text")
        return self.content or ""


class ChatRequest(BaseModel):
    """OpenAI's request. `knowledge_bases`, `sources`, `thread` and `budget` are additions that the agents read."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, Field(max_length=200)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=1_000)]
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    knowledge_bases: list[str] = []
    sources: list[str] = []
    thread: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    budget: Limits = Limits()

    def question(self) -> str:
        """The last thing the user said."""
        said = next((message.text() for message in reversed(self.messages) if message.role == "user"), "")
        if not said.strip():
            raise InvalidInput("There is no user message with text.", param="messages")
        return said[:20_000]

    def turns(self) -> list[Turn]:
        """What was said before; clients of this door send it with each question."""
        spoken = [(message.role, message.text()) for message in self.messages if message.role in ("user", "assistant")]
        return [
            Turn(question=asked[:LAST], answer=answer[:LAST])
            for (who, asked), (other, answer) in pairwise(spoken)
            if (who, other) == ("user", "assistant") and asked.strip()
        ][-TURNS:]


class EmbeddingRequest(BaseModel):
    """OpenAI's request. `input_type` is an addition: some models mark queries differently from passages."""

    model: Annotated[str, Field(max_length=200)]
    input: str | Annotated[list[str], Field(min_length=1, max_length=2_048)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None
    input_type: Literal["query", "passage"] = "passage"


def is_agent(model: str) -> bool:
    return model == MODEL or model.startswith(f"{MODEL}/")


@router.post("/chat/completions", response_model=None)
async def chat_completions(asked: ChatRequest, host: HostDep, tenant: TenantDep, bench: BenchDep) -> Any:
    """Ask an agent (`sutradhar`, `sutradhar/<graph>`) or a chat model of the catalogue."""
    if not is_agent(asked.model):
        return await forward(asked.model_dump(exclude_unset=True), bench, host.streams)
    turns = [] if asked.thread else asked.turns()
    ask = Ask(question=asked.question(), knowledge_bases=asked.knowledge_bases, sources=asked.sources, turns=turns)
    host.streams.admit()
    budget = asked.budget.within(host.settings.budget)
    run = await host.runs.start(asked.model, ask, thread=asked.thread, tenant=tenant, budget=budget)
    completion = Completion(run, asked.model)
    if not asked.stream:
        return completion.whole(await conclude(host, tenant, run))
    counted = bool((asked.stream_options or {}).get("include_usage"))
    frames = completion_frames(completion, host.runs.stream(run, tenant=tenant), counted=counted)
    first = host.metrics.first_event.labels("openai").observe
    return EventStream(frames, host.streams, headers={"X-Run-Id": run}, first=first)


@router.get("/models")
async def models(host: HostDep, bench: BenchDep) -> dict[str, Any]:
    """The agents, then the models of the catalogue that can serve one of OpenAI's doors."""
    agents = [_model(id) for id in (MODEL, *(f"{MODEL}/{name}" for name in host.runs.agents))]
    rows = [_row(row) for row in bench.catalog.models if _is_offered(row)]
    return {"object": "list", "data": [*agents, *rows]}


@router.get("/models/{model:path}")
async def model(model: str, host: HostDep, bench: BenchDep) -> dict[str, Any]:
    """One model; a retired name answers with what serves in its place."""
    if is_agent(model):
        host.runs.draw(model)
        return _model(model)
    choice = bench.catalog.resolve(model)
    return {**_row(choice.row), "asked": choice.asked, "reason": choice.reason}


@router.post("/embeddings")
async def embeddings(asked: EmbeddingRequest, bench: BenchDep) -> Response:
    """Vectors of texts, L2-normalised."""
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    if not all(text.strip() for text in texts):
        raise InvalidInput("An input text is empty.", param="input")
    choice = bench.choose(TEXT_EMBEDDING, model=None if asked.model == "default" else asked.model)
    if choice.row.capability != TEXT_EMBEDDING.name:
        raise InvalidInput(f"{asked.model!r} does {choice.row.capability}, not text-embedding.", param="model")
    vectors = await _vectors(bench, choice.row.id, texts, asked.input_type)
    if asked.dimensions not in (None, vectors.shape[1]):
        raise InvalidInput(
            f"{choice.row.id!r} has {vectors.shape[1]} dimensions, not {asked.dimensions}.", param="dimensions"
        )
    tokens = sum(map(guess_tokens, texts))
    listed = EmbeddingList(
        data=[Embedding(index=n, embedding=_encode(vector, asked.encoding_format)) for n, vector in enumerate(vectors)],
        model=choice.row.id,
        usage={"prompt_tokens": tokens, "total_tokens": tokens},
    )
    return Response(listed.model_dump_json(), media_type="application/json")


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: dict[str, int]


async def _vectors(bench: Bench, model: str, texts: list[str], kind: str) -> Vectors:
    async with bench.engine(TEXT_EMBEDDING, model=model) as lease:
        method = TextEmbedding.queries if kind == "query" else TextEmbedding.passages
        return await lease.call(method, texts)


def _encode(vector: Any, encoding: str) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    values: list[float] = vector.tolist()
    return values


_OFFERED = ("chat", TEXT_EMBEDDING.name, SPEECH_TO_TEXT.name, TEXT_TO_SPEECH.name)


def _is_offered(row: Row) -> bool:
    return row.status == "ready" and row.capability in _OFFERED


def _model(id: str, owner: str = "sutradhar") -> dict[str, Any]:
    return {"id": id, "object": "model", "created": 0, "owned_by": owner}


def _row(row: Row) -> dict[str, Any]:
    return {**_model(row.id, "catalogue"), "capability": row.capability, "licence": row.licence, "context": row.context}
