"""Tools over HTTP: listed with schemas, called, and streamed."""

import json

import pytest

from api.discovery import secret
from tests.api.conftest import Served
from tools.residency import Residency
from tools.settings import Settings

pytestmark = pytest.mark.anyio


def frames(text: str) -> list[tuple[str, dict[str, object]]]:
    """The events of a stream: (event, data)."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


async def test_tools_are_listed_with_their_schemas(open_door: Served) -> None:
    async with open_door.client() as client:
        tools = {tool["name"]: tool for tool in (await client.get("/api/v1/tools")).json()}
    assert tools["echo"]["input"]["properties"]["times"]["maximum"] == 100
    assert tools["echo"]["effect"] == "read"
    assert tools["break"]["effect"] == "write"
    assert "tenant" in tools["echo"]["output"]["properties"]


async def test_a_call_answers_with_the_output(open_door: Served) -> None:
    async with open_door.client() as client:
        answer = await client.post("/api/v1/tools/echo", json={"text": "ab", "times": 2})
    assert answer.json() == {"text": "abab", "tenant": "local"}


async def test_progress_streams_before_the_result(open_door: Served) -> None:
    async with open_door.client(headers={"Accept": "text/event-stream"}) as client:
        answer = await client.post("/api/v1/tools/echo", json={"text": "ab", "times": 3})
    events = frames(answer.text)
    states = [data["state"] for event, data in events if event == "tool"]
    assert states == ["started", "progress", "progress", "progress", "finished"]
    assert events[-1] == ("result", {"text": "ababab", "tenant": "local"})


async def test_a_failure_in_a_stream_is_its_last_event(open_door: Served) -> None:
    async with open_door.client(headers={"Accept": "text/event-stream"}) as client:
        engine = frames((await client.post("/api/v1/tools/break", json={"text": "engine"})).text)
        other = await client.post("/api/v1/tools/break", json={"text": "x"})
    assert engine[-1][0] == "error"
    assert engine[-1][1]["error"]["code"] == "engine_failed"  # type: ignore[index]
    assert "/somewhere" not in other.text


async def test_a_slow_reader_still_gets_the_result(open_door: Served) -> None:
    async with open_door.client(headers={"Accept": "text/event-stream"}) as client:
        answer = await client.post("/api/v1/tools/echo", json={"text": "a", "times": 100})
    assert frames(answer.text)[-1][0] == "result"


async def test_what_the_flow_runner_calls_steps_aside_for_who_waits(
    locked: Served, keyed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    def patient(models: Residency) -> Residency:
        asked.append("patient")
        return models

    monkeypatch.setattr(Residency, "patient", patient)
    service = {"Authorization": f"Bearer {secret(keyed.home, 'service')}", "X-Sutradhar-Tenant": "team-a"}
    for client, times in ((locked.of("team-a"), 0), (locked.client(headers=service), 1)):
        async with client:
            answer = await client.post("/api/v1/tools/echo", json={"text": "ab", "times": 1})
        assert answer.status_code == 200, answer.text
        assert len(asked) == times
