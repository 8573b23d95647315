"""Chat models behind the APIs of OpenAI and Anthropic: their streams, tool calls, usage and every way to fail."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel, SecretStr

from tests.tools.providers import Provider, Reply, provider
from tools.bench import Bench
from tools.catalog import Catalog, load_catalog
from tools.chat.roles import LeasedChat, chat_model
from tools.chat.structured import structured
from tools.errors import Busy, EngineFailed, InvalidInput, NotInstalled, SutradharError
from tools.events import ModelEvent
from tools.open import open_bench
from tools.settings import Settings

pytestmark = pytest.mark.anyio

ROWS = ["gpt-6.1-sol", "gpt-5.6-sol", "claude-opus-5-5", "claude-sonnet-5-5"]
BOTH = ["gpt-6.1-sol", "claude-sonnet-5-5"]
KEYS = {"openai": SecretStr("sk-openai"), "anthropic": SecretStr("sk-anthropic")}

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def catalog_at(url: str) -> Catalog:
    """The catalogue as it ships, with its remote rows at this address."""
    shipped = load_catalog()
    rows = [
        row.model_copy(update={"options": {**row.options, "url": url if "claude" in row.id else f"{url}/v1"}})
        if row.id in ROWS
        else row
        for row in shipped.models
    ]
    return Catalog(models=rows, profiles=shipped.profiles)


@asynccontextmanager
async def remote(
    settings: Settings, *replies: Reply, keys: dict[str, SecretStr] | None = None, **more: Any
) -> AsyncIterator[tuple[Bench, Provider]]:
    async with provider(*replies) as served:
        update = {"profile": "remote", "api_keys": KEYS if keys is None else keys, **more}
        async with open_bench(settings.model_copy(update=update), catalog=catalog_at(served.url)) as bench:
            yield bench, served


async def heard(model: Any, *messages: Any, **options: Any) -> AIMessageChunk:
    whole: AIMessageChunk | None = None
    async for chunk in model.astream(list(messages) or "hi", **options):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    return whole


@pytest.mark.parametrize("row", ROWS)
async def test_a_text_streams_with_its_usage(settings: Settings, row: str) -> None:
    async with remote(settings, Reply(text="Lima is the capital.")) as (bench, served):
        model = chat_model(bench, "writing", model=row, max_tokens=50)
        pieces = [chunk.text async for chunk in model.astream([SystemMessage("Be brief."), HumanMessage("Peru?")])]
        whole = await heard(model)
        (body, headers), *_ = served.seen
    assert [piece for piece in pieces if piece] == ["Lima ", "is ", "the ", "capital. "]
    assert whole.usage_metadata is not None
    assert (whole.usage_metadata["input_tokens"], whole.usage_metadata["output_tokens"]) == (11, 5)
    assert body["model"] == row
    assert body["stream"] is True
    assert 50 in (body.get("max_tokens"), body.get("max_completion_tokens"), body.get("max_output_tokens"))
    assert not {"temperature", "top_p", "top_k"} & body.keys()
    if row.startswith("claude"):
        assert "Bearer sk-anthropic" in (headers.get("authorization"), f"Bearer {headers.get('x-api-key')}")
        assert headers["anthropic-version"]
        assert body["system"] in ("Be brief.", [{"type": "text", "text": "Be brief."}])
    else:
        assert headers["authorization"] == "Bearer sk-openai"
        assert body["input"][0]["content"] in ("Be brief.", [{"type": "input_text", "text": "Be brief."}])
        # the provider must not keep what was asked
        assert body["store"] is False


@pytest.mark.parametrize("row", BOTH)
async def test_tool_calls_and_their_results(settings: Settings, row: str) -> None:
    calls = [("weather", '{"city": "Kochi"}'), ("weather", '{"city": "Delhi"}')]
    async with remote(settings, Reply(text="I look.", calls=calls), Reply(text="Rain.")) as (bench, served):
        model = chat_model(bench, "reasoning", model=row).bind_tools([TOOL])
        asked = await heard(model)
        assert [(each["name"], each["args"]) for each in asked.tool_calls] == [
            ("weather", {"city": "Kochi"}),
            ("weather", {"city": "Delhi"}),
        ]
        said = AIMessage(asked.text, tool_calls=asked.tool_calls)
        results = [ToolMessage(f"Rain {n}", tool_call_id=str(each["id"])) for n, each in enumerate(asked.tool_calls)]
        assert (await heard(model, HumanMessage("hi"), said, *results)).text.strip() == "Rain."
        first, second = (body for body, _ in served.seen)
    assert len(first["tools"]) == 1
    assert "weather" in str(first["tools"])
    assert "Rain 1" in str(second.get("messages") or second["input"])


class City(BaseModel):
    name: str


@pytest.mark.parametrize("row", BOTH)
async def test_an_answer_of_a_fixed_form(settings: Settings, row: str) -> None:
    async with remote(settings, Reply(text="no JSON"), Reply(text='{"name": "Lima"}')) as (bench, served):
        model = chat_model(bench, "judge", model=row)
        assert (await structured(model, [HumanMessage("The capital of Peru?")], City)).name == "Lima"
        bodies = [body for body, _ in served.seen]
    assert len(bodies) == 2
    forms = [body.get("text") or body.get("response_format") or body.get("output_config") or {} for body in bodies]
    assert all("'name'" in str(form) for form in forms)


@pytest.mark.parametrize("row", BOTH)
@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (Reply(status=401), EngineFailed, "refused the key"),
        (Reply(status=403), EngineFailed, "refused the key"),
        (Reply(status=400), InvalidInput, "refused the request"),
        (Reply(status=404), InvalidInput, "refused the request"),
        (Reply(status=429, headers={"Retry-After": "0.2"}), Busy, "no more requests"),
        (Reply(status=500, headers={"Retry-After": "0.1"}), EngineFailed, "failed"),
        (Reply(status=529, headers={"Retry-After": "0.1"}), Busy, "no more requests"),
        (Reply(text="one two three four", cut=True), EngineFailed, "failed"),
    ],
)
async def test_failures_are_ours(
    settings: Settings, row: str, reply: Reply, kind: type[SutradharError], message: str
) -> None:
    async with remote(settings, reply) as (bench, served):
        with pytest.raises(kind, match=message) as caught:
            await heard(chat_model(bench, "reasoning", model=row))
        assert "sk-" not in str(caught.value)
    if kind is Busy:
        assert caught.value.retry_after == float(reply.headers["Retry-After"])
        assert len(served.seen) == 3


@pytest.mark.parametrize("row", BOTH)
async def test_a_short_trouble_is_ridden_out(settings: Settings, row: str) -> None:
    trouble = [Reply(status=429, headers={"Retry-After": "0.1"}), Reply(status=500, headers={"Retry-After": "0.1"})]
    async with remote(settings, *trouble, Reply(text="Here.")) as (bench, _):
        began = time.perf_counter()
        assert (await heard(chat_model(bench, "reasoning", model=row))).text.strip() == "Here."
        assert time.perf_counter() - began < 5


@pytest.mark.parametrize("row", BOTH)
async def test_who_leaves_ends_the_stream(settings: Settings, row: str) -> None:
    async with remote(settings, Reply(text="one two three four five six", hang=True)) as (bench, served):
        async for chunk in chat_model(bench, "reasoning", model=row).astream("hi"):
            if chunk.text:
                break
        async with asyncio.timeout(5):
            while not served.gone:  # noqa: ASYNC110 - counted by the server
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("retired", "serves", "why"),
    [("Claude-3.5-Sonnet", "claude-sonnet-5-5", "retired it"), ("GPT-4", "gpt-6.1-sol", "shut it down")],
)
async def test_a_retired_name_says_who_answers(settings: Settings, retired: str, serves: str, why: str) -> None:
    events = list[Any]()
    async with remote(settings, Reply(text="Hello."), roles={"writing": retired}) as (bench, served):
        model = chat_model(bench.listening(events.append), "writing")
        assert model.row.id == serves
        assert (await heard(model)).text.strip() == "Hello."
        assert served.seen[0][0]["model"] == serves
    told = [event.note for event in events if isinstance(event, ModelEvent)]
    assert any(f"answers for {retired!r}" in note and why in note for note in told)


async def test_an_owner_names_the_successor(settings: Settings) -> None:
    """Who has one provider's key only lets its model serve for the other's."""
    only = {"anthropic": KEYS["anthropic"]}
    async with remote(settings, Reply(text="Hello."), keys=only) as (bench, _):
        with pytest.raises(NotInstalled, match="SUTRADHAR_API_KEYS__OPENAI"):
            await heard(chat_model(bench, "writing", model="gpt-4"))
    chosen = {"GPT-4": "claude-opus-5-5", "gpt-6.1-sol": "claude-opus-5-5"}
    async with remote(settings, Reply(text="Hello."), keys=only, successors=chosen) as (bench, _):
        for name in ("gpt-4", "gpt-6.1-sol"):
            model = chat_model(bench, "writing", model=name)
            assert model.row.id == "claude-opus-5-5"
            assert "The owner lets Claude Opus 5.5 serve instead." in model.choice.reason
            assert (await heard(model)).text.strip() == "Hello."
    wrong = {"claude-opus-5-5": "claude-sonnet-5-5", "claude-sonnet-5-5": "claude-opus-5-5"}
    with pytest.raises(InvalidInput, match="SUTRADHAR_SUCCESSORS"):
        async with remote(settings, Reply(), successors=wrong):
            pass


async def test_other_servers_of_openais_protocol(settings: Settings) -> None:
    """A row of the owner at any address speaks chat completions, with all that it is asked for."""
    async with provider(Reply(text="Hello.")) as served:
        shipped = load_catalog()
        options = {"provider": "mine", "url": f"{served.url}/v1", "model": "m"}
        row = shipped.row("gpt-5.6-sol").model_copy(update={"id": "mine", "options": options, "aliases": []})
        keyed = settings.model_copy(update={"api_keys": {"mine": SecretStr("sk-mine")}})
        catalog = Catalog(models=[*shipped.models, row], profiles=shipped.profiles)
        async with open_bench(keyed, catalog=catalog) as bench:
            model = chat_model(bench, "writing", model="mine", top_k=3)
            assert (await heard(model)).text.strip() == "Hello."
        body, headers = served.seen[0]
    assert (body["model"], body["temperature"], body["top_k"]) == ("m", 0.0, 3)
    assert headers["authorization"] == "Bearer sk-mine"


async def test_fifty_streams_at_once(settings: Settings) -> None:
    async with remote(settings, Reply(text="one two three")) as (bench, _):
        models: list[LeasedChat] = [chat_model(bench, "reasoning", model=BOTH[n % 2]) for n in range(50)]
        answers = await asyncio.gather(*(heard(model) for model in models))
    assert {answer.text.strip() for answer in answers} == {"one two three"}
