"""Chat models by role: scripted, behind servers with faults, and the real small one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel, SecretStr

from tests.tools.test_server import calls
from tests.tools.test_server import row as server_row
from tools.bench import Bench
from tools.catalog import Catalog, Profile
from tools.chat.roles import LeasedChat, chat_model
from tools.chat.scripted import with_script
from tools.chat.structured import structured
from tools.errors import EngineFailed, InvalidInput, NotInstalled, TooLarge
from tools.open import open_bench
from tools.settings import Settings

pytestmark = pytest.mark.anyio

SMALL = "smollm2-135m-instruct"


def small_catalog() -> Catalog:
    """One model to chat with, a retired one, one that does something else."""
    fake = server_row()
    retired = {"id": "old", "status": "retired", "replaced_by": "fake", "note": "Fake answers better."}
    rows = [
        fake,
        fake.model_copy(update=retired),
        fake.model_copy(update={"id": "ears", "capability": "speech-to-text"}),
    ]
    rows += [fake.model_copy(update={"id": "research-only", "commercial": False})]
    profile = Profile(title="Test", devices={"cpu": 4.0}, serves={}, roles={"reasoning": "fake"})
    return Catalog(models=rows, profiles={"embedded": profile})


def script(folder: Path, *lines: dict[str, Any]) -> Catalog:
    path = folder / "script.json"
    path.write_text(json.dumps(lines), encoding="utf-8")
    return with_script(small_catalog(), path)


@asynccontextmanager
async def serving(settings: Settings, **options: Any) -> AsyncIterator[Bench]:
    """A bench whose every role is the fake server."""
    catalog = Catalog(models=[server_row(**options)], profiles=small_catalog().profiles)
    async with open_bench(settings, catalog=catalog) as bench:
        yield bench


async def test_roles(settings: Settings) -> None:
    async with open_bench(settings, catalog=small_catalog()) as bench:
        assert chat_model(bench, "reasoning").row.id == "fake"
        with pytest.raises(NotInstalled, match="vision"):
            chat_model(bench, "vision")
        with pytest.raises(InvalidInput, match="no chat role"):
            chat_model(bench, "clown")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="no chat model"):
            chat_model(bench, "judge", model="ears")
    chosen = settings.model_copy(update={"roles": {"vision": "research-only"}})
    async with open_bench(chosen, catalog=small_catalog()) as bench:
        assert chat_model(bench, "vision").row.id == "research-only"
    async with open_bench(chosen.model_copy(update={"commercial": True}), catalog=small_catalog()) as bench:
        with pytest.raises(NotInstalled, match="commercially"):
            chat_model(bench, "vision")


async def test_a_retired_name_is_answered_by_its_successor(settings: Settings) -> None:
    async with open_bench(settings, catalog=small_catalog()) as bench:
        model = chat_model(bench, "reasoning", model="old", max_tokens=1)
        assert (model.row.id, model.choice.asked) == ("fake", "old")
        assert "answers better" in model.choice.reason
        assert (await model.ainvoke("hi")).text == "w0 "


async def test_scripted_answers_stream(settings: Settings, tmp_path: Path) -> None:
    catalog = script(tmp_path, {"when": "capital", "say": "Lima is it [1].", "times": 1}, {"say": {"a": 1}})
    async with open_bench(settings, catalog=catalog) as bench:
        model = chat_model(bench, "writing")
        pieces = [chunk async for chunk in model.astream("the capital of Peru?")]
        assert [piece.text for piece in pieces if piece.text] == ["Lima ", "is ", "it ", "[1]."]
        answer = await model.ainvoke("the capital again?")
        assert json.loads(answer.text) == {"a": 1}
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["output_tokens"] == 2


async def test_many_scripted_streams_at_once(settings: Settings, tmp_path: Path) -> None:
    catalog = script(tmp_path, {"say": "one two three four five", "delay": 0.02})
    async with open_bench(settings, catalog=catalog) as bench:
        started = time.perf_counter()
        answers = await asyncio.gather(*(chat_model(bench, "judge").ainvoke(str(n)) for n in range(50)))
        assert {answer.text for answer in answers} == {"one two three four five"}
        assert time.perf_counter() - started < 3


async def test_an_endless_answer_ends(settings: Settings, tmp_path: Path) -> None:
    async with open_bench(settings, catalog=script(tmp_path, {"fail": "endless"})) as bench:
        answer = await chat_model(bench, "judge", max_tokens=20).ainvoke("go")
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["output_tokens"] == 20
        with pytest.raises(InvalidInput, match="ainvoke"):
            chat_model(bench, "judge").invoke("go")


async def test_tokens_come_once_through_a_graph(settings: Settings) -> None:
    async def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    async with serving(settings) as bench:
        model = chat_model(bench, "reasoning", max_tokens=4)
        graph = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer").compile()
        stream = graph.astream({"messages": [HumanMessage("hi")]}, stream_mode="messages")
        texts = [message.text async for message, _ in stream if message.text]  # type: ignore[union-attr]
    assert texts == ["w0 ", "w1 ", "w2 ", "w3 "]


async def test_a_served_model_streams_with_usage(settings: Settings) -> None:
    async with serving(settings) as bench:
        total = None
        async for chunk in chat_model(bench, "reasoning", max_tokens=3).astream("hi"):
            total = chunk if total is None else total + chunk
        assert total is not None
        assert total.text == "w0 w1 w2 "
        assert total.usage_metadata is not None
        assert total.usage_metadata["total_tokens"] == 8


async def test_a_crash_in_a_stream_is_an_error_and_the_next_call_works(settings: Settings) -> None:
    async with serving(settings, crash=2) as bench:
        got: list[str] = []
        with pytest.raises(EngineFailed):
            await collect(chat_model(bench, "reasoning", max_tokens=5), got)
        assert got == ["w0 ", "w1 "]
        assert (await chat_model(bench, "reasoning", max_tokens=2).ainvoke("again")).text == "w0 w1 "


async def collect(model: LeasedChat, into: list[str]) -> None:
    async for chunk in model.astream("hi"):
        into.append(chunk.text)  # noqa: PERF401 - what came before an error counts


async def test_who_leaves_stops_the_server(settings: Settings) -> None:
    async with serving(settings, delay=0.05) as bench:
        model = chat_model(bench, "reasoning", max_tokens=10_000)
        async for _ in model.astream("hi"):
            break
        call = asyncio.create_task(model.ainvoke("hi"))
        await asyncio.sleep(0.3)
        call.cancel()
        async with bench.models.use("fake") as lease, asyncio.timeout(5):
            while (await calls(lease))["gone"] < 2:  # noqa: ASYNC110 - counted in another process
                await asyncio.sleep(0.02)
        assert [each.users for each in bench.models.residents()] == [0]  # type: ignore[attr-defined]


async def test_a_prompt_beyond_the_context(settings: Settings) -> None:
    async with serving(settings, status=400) as bench:
        with pytest.raises(TooLarge, match="longer than Fake can read"):
            await chat_model(bench, "reasoning").ainvoke("hi")


async def test_a_remote_model_needs_its_key(settings: Settings) -> None:
    async with serving(settings) as bench, bench.models.use("fake") as lease:
        remote = server_row("cloud", provider="openai", url=lease.endpoint.url, model="big")
        catalog = Catalog(models=[remote.model_copy(update={"isolation": "remote"})], profiles=small_catalog().profiles)
        async with open_bench(settings, catalog=catalog) as keyless:
            with pytest.raises(NotInstalled, match="SUTRADHAR_API_KEYS__OPENAI"):
                await chat_model(keyless, "reasoning", model="cloud").ainvoke("hi")
        keys = settings.model_copy(update={"api_keys": {"openai": SecretStr(lease.endpoint.key)}})
        async with open_bench(keys, catalog=catalog) as keyed:
            model = chat_model(keyed, "reasoning", model="cloud", max_tokens=2)
            assert (await model.ainvoke("hi")).text == "w0 w1 "


class City(BaseModel):
    name: str
    country: str


@pytest.mark.weights
async def test_the_small_model(settings: Settings, weights: Any) -> None:
    """Streaming, a form, a prefix that is not read twice, and a server that stops when nobody listens."""
    files: Mapping[str, Path] = weights(SMALL)
    assert files
    async with open_bench(settings.model_copy(update={"roles": {"reasoning": SMALL}})) as bench:
        model = chat_model(bench, "reasoning", max_tokens=12)
        prompt = [SystemMessage("You answer in one short sentence. " * 20), HumanMessage("Who are you?")]
        first = await model.ainvoke(prompt)
        again = await model.ainvoke(prompt)
        assert first.text
        assert first.text == again.text
        assert again.usage_metadata is not None
        cached = again.usage_metadata["input_token_details"]["cache_read"]
        assert cached > 0.9 * again.usage_metadata["input_tokens"]

        city = await structured(model, [HumanMessage("Describe Paris as JSON.")], City, max_tokens=100)
        assert city.name

        async with bench.models.use(SMALL) as lease:
            long = chat_model(bench, "reasoning", max_tokens=4000, ignore_eos=True)
            async for _ in long.astream("Tell a long story."):
                break
            await until_idle(lease.endpoint.url, lease.endpoint.key)
            call = asyncio.create_task(long.ainvoke("Tell another."))
            await asyncio.sleep(0.5)
            assert await busy(lease.endpoint.url, lease.endpoint.key)
            call.cancel()
            await until_idle(lease.endpoint.url, lease.endpoint.key)


async def busy(url: str, key: str) -> bool:
    headers = {"Authorization": f"Bearer {key}"}
    address = url.removesuffix("/v1") + "/slots"
    async with aiohttp.ClientSession(headers=headers) as session, session.get(address) as answer:
        return any(slot["is_processing"] for slot in await answer.json())


async def until_idle(url: str, key: str) -> None:
    # far below the minute that it would take to write all of it, and enough for a busy machine
    async with asyncio.timeout(20):
        while await busy(url, key):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.02)
