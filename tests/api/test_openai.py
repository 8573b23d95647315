"""The official `openai` client is the test of compatibility."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.api.conftest import Served

pytestmark = pytest.mark.anyio


def _client(served: Served) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


async def test_chat(open_door: Served) -> None:
    async with _client(open_door) as client:
        answer = await client.chat.completions.create(
            model="sutradhar", messages=[{"role": "user", "content": "one two three"}]
        )
    assert answer.choices[0].message.content == "one two three"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 3)
    assert answer.model_extra is not None
    assert answer.model_extra["citations"][0]["source"] == "a.mp4"


async def test_chat_streamed(open_door: Served) -> None:
    async with _client(open_door) as client:
        stream = await client.chat.completions.create(
            model="sutradhar/scripted",
            messages=[{"role": "user", "content": [{"type": "text", "text": "one two three"}]}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said.strip() == "one two three"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10
    assert (chunks[-2].model_extra or {})["citations"][0]["start"] == 7.0


async def test_what_was_said_before_is_heard(open_door: Served) -> None:
    said = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Write a poem"},
        {"role": "assistant", "content": "Rain."},
        {"role": "user", "content": "make it longer"},
    ]
    async with _client(open_door) as client, open_door.client() as http:
        await client.chat.completions.create(model="sutradhar/router", messages=said)  # type: ignore[arg-type]
        threads = (await http.get("/api/v1/threads")).json()
        newest = (await http.get(f"/api/v1/threads/{threads[0]['thread']}/history")).json()
    asked = next(each["values"]["ask"] for each in newest if "ask" in each["values"])
    assert asked["turns"] == [{"question": "Write a poem", "answer": "Rain.", "agent": ""}]


async def test_failures_are_the_clients_own(open_door: Served) -> None:
    async with _client(open_door) as client:
        with pytest.raises(openai.NotFoundError, match="no model"):
            await client.chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": "a"}])
        with pytest.raises(openai.UnprocessableEntityError, match="user message"):
            await client.chat.completions.create(model="sutradhar", messages=[{"role": "system", "content": "a"}])
        with pytest.raises(openai.InternalServerError, match="engine died"):
            await client.chat.completions.create(model="sutradhar", messages=[{"role": "user", "content": "break"}])
        stream = await client.chat.completions.create(
            model="sutradhar", messages=[{"role": "user", "content": "break"}], stream=True
        )
        with pytest.raises(openai.APIError, match="engine died"):
            [chunk async for chunk in stream]


async def test_what_a_run_asks_is_told(open_door: Served) -> None:
    said: list[Any] = [{"role": "user", "content": "please ask"}]
    async with _client(open_door) as client:
        whole = await client.chat.completions.create(model="sutradhar", messages=said)
        stream = await client.chat.completions.create(model="sutradhar", messages=said, stream=True)
        pieces = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert whole.choices[0].message.content == "Which?"
    assert pieces.startswith("Which? (POST /api/v1/runs/")


async def test_a_budget_is_told_as_length(open_door: Served) -> None:
    async with _client(open_door) as client:
        answer = await client.chat.completions.create(
            model="sutradhar",
            messages=[{"role": "user", "content": "wait"}],
            extra_body={"budget": {"seconds": 0.2}},
        )
    assert answer.choices[0].finish_reason == "length"


async def test_models(open_door: Served) -> None:
    async with _client(open_door) as client:
        listed = [model.id async for model in await client.models.list()]
        assert listed[:3] == ["sutradhar", "sutradhar/scripted", "sutradhar/router"]
        assert (await client.models.retrieve("sutradhar/scripted")).object == "model"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("sutradhar/nothing")


async def test_a_wrong_key(locked: Served) -> None:
    async with _client(locked) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()


@pytest.mark.parametrize("model", ["lengths", "old", "default"])
async def test_embeddings(open_door: Served, model: str) -> None:
    async with _client(open_door) as client:
        as_base64 = await client.embeddings.create(model=model, input=["a", "b" * 50])
        as_floats = await client.embeddings.create(model=model, input="b" * 50, encoding_format="float")
    assert as_base64.model == "lengths"
    assert [each.index for each in as_base64.data] == [0, 1]
    assert as_base64.data[1].embedding == pytest.approx([0.8775825, 0.4794255], abs=1e-6)
    assert as_floats.data[0].embedding == pytest.approx(as_base64.data[1].embedding, abs=1e-6)


async def test_wrong_embeddings(open_door: Served) -> None:
    async with _client(open_door) as client:
        with pytest.raises(openai.UnprocessableEntityError, match="2 dimensions"):
            await client.embeddings.create(model="lengths", input="a", dimensions=5)
        with pytest.raises(openai.UnprocessableEntityError, match="empty"):
            await client.embeddings.create(model="lengths", input=["a", " "])
        with pytest.raises(openai.NotFoundError, match="'other'"):
            await client.embeddings.create(model="other", input="a")
        with pytest.raises(openai.UnprocessableEntityError, match="not chat"):
            await client.chat.completions.create(model="lengths", messages=[{"role": "user", "content": "a"}])
