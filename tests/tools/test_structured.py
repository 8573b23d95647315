"""Answers of a fixed form, from models that do not keep to it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from pydantic import BaseModel, Field

from tests.tools.test_chat import script
from tools.chat.roles import LeasedChat, chat_model
from tools.chat.structured import bounded, json_in, structured
from tools.errors import EngineFailed
from tools.open import open_bench
from tools.settings import Settings


class Claim(BaseModel):
    text: str
    kind: Literal["fact", "guess"] = "fact"
    short: str = Field("", max_length=10)


class Answer(BaseModel):
    claims: list[Claim]
    by_name: dict[str, Claim] = {}
    best: Claim | str | None = None
    maxLength: int = 0  # noqa: N815 - a field may be called like a keyword


@asynccontextmanager
async def scripted(settings: Settings, folder: Path, *lines: dict[str, Any]) -> AsyncIterator[LeasedChat]:
    async with open_bench(settings, catalog=script(folder, *lines)) as bench:
        yield chat_model(bench, "judge", max_tokens=50)


GOOD = {"claims": [{"text": "it rains"}]}


@pytest.mark.anyio
async def test_a_good_answer(settings: Settings, tmp_path: Path) -> None:
    thought = f'<think>{{"claims": "hm"}}</think>\n```json\n{json.dumps(GOOD)}\n```'
    async with scripted(settings, tmp_path, {"say": thought}) as model:
        answer = await structured(model, [HumanMessage("say")], Answer)
        assert answer.claims == [Claim(text="it rains")]


@pytest.mark.anyio
async def test_one_repair(settings: Settings, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"when": "not the JSON that was asked for: claims", "say": GOOD},
        {"say": {"claims": 7}},
    ]
    async with scripted(settings, tmp_path, *lines) as model:
        answer = await structured(model, [HumanMessage("say")], Answer)
        assert answer.claims[0].text == "it rains"


@pytest.mark.anyio
@pytest.mark.parametrize("fail", ["garbage", "empty", "endless", "error"])
async def test_whatever_the_model_does_the_caller_can_go_on(settings: Settings, tmp_path: Path, fail: str) -> None:
    async with scripted(settings, tmp_path, {"fail": fail}) as model:
        with pytest.raises(EngineFailed):
            await structured(model, [HumanMessage("say")], Answer)
        answer = await structured(model, [HumanMessage("say")], Answer, fallback=lambda: Answer(claims=[]))
        assert answer.claims == []


def test_every_string_ends() -> None:
    schema = bounded(Answer.model_json_schema())
    claim = schema["$defs"]["Claim"]
    assert claim["properties"]["text"]["maxLength"] == 400
    assert claim["properties"]["short"]["maxLength"] == 10
    assert "maxLength" not in claim["properties"]["kind"]
    assert schema["properties"]["claims"]["maxItems"] == 16
    assert schema["properties"]["best"]["anyOf"][1] == {"type": "string", "maxLength": 400}
    assert schema["properties"]["maxLength"]["type"] == "integer"
    assert schema["additionalProperties"] is False
    assert bounded(schema) == schema


@effort(max_examples=50, deadline=None)
@given(st.text())
def test_any_text_can_be_looked_through(text: str) -> None:
    json_in(text)
    assert json_in(f"{text.replace('{', '').replace('<', '')} {{}}") == "{}"
