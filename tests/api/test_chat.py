"""Chat: typed events with numbers, runs that outlive their client, threads, forks, and tenants that stay apart."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from graphs.events import AGENT_EVENT
from tests.api.conftest import Served

pytestmark = pytest.mark.anyio


def events(text: str) -> list[tuple[str, str, dict[str, Any]]]:
    """(id, event, data) of each frame; every one must fit the event union."""
    found = list[tuple[str, str, dict[str, Any]]]()
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        data = json.loads(fields["data"])
        assert AGENT_EVENT.validate_python(data).type == fields["event"]
        found.append((fields["id"], fields["event"], data))
    return found


async def ask(client: httpx.AsyncClient, question: str = "one two", **more: Any) -> httpx.Response:
    return await client.post("/api/v1/chat", json={"question": question, **more})


async def test_a_run_streams_every_event_with_its_number(open_door: Served) -> None:
    async with open_door.client() as client:
        answer = await ask(client)
    assert answer.headers["content-type"].startswith("text/event-stream")
    run = answer.headers["x-run-id"]
    frames = events(answer.text)
    assert [id for id, _, _ in frames] == [f"{run}:{n}" for n in range(1, len(frames) + 1)]
    kinds = [kind for _, kind, _ in frames]
    assert kinds[0] == "run.started"
    assert kinds.index("evidence") < kinds.index("token")
    assert frames[-2][2]["text"] == "one two"
    assert frames[-1][2]["status"] == "done"
    assert frames[-1][2]["usage"]["chat_calls"] == 1


async def test_a_lost_client_misses_nothing(open_door: Served) -> None:
    async with open_door.client() as client:
        whole = events((await ask(client)).text)
        run = whole[0][2]["run"]
        middle = whole[4][0]
        rest = await client.get(f"/api/v1/runs/{run}/events", headers={"Last-Event-ID": middle})
        assert events(rest.text) == whole[5:]
        again = await client.get(f"/api/v1/runs/{run}/events")
        assert events(again.text) == whole


async def test_a_run_goes_on_when_its_client_leaves(open_door: Served) -> None:
    async with open_door.client() as client:
        async with client.stream("POST", "/api/v1/chat", json={"question": "say 2000 tokens"}) as answer:
            run = answer.headers["x-run-id"]
        whole = events((await client.get(f"/api/v1/runs/{run}/events")).text)
    assert sum(kind == "token" for _, kind, _ in whole) == 2000
    assert whole[-1][2]["status"] == "done"


async def test_cancelling(open_door: Served) -> None:
    async with open_door.client() as client:
        async with client.stream("POST", "/api/v1/chat", json={"question": "wait"}) as answer:
            run = answer.headers["x-run-id"]
            assert (await client.post(f"/api/v1/runs/{run}/cancel")).json() == {"run": run, "status": "cancelled"}
            await answer.aread()
        assert events(answer.text)[-1][2]["status"] == "cancelled"
        assert (await client.post(f"/api/v1/runs/{run}/cancel")).json()["status"] == "cancelled"


async def test_a_budget_ends_a_run(open_door: Served) -> None:
    async with open_door.client() as client:
        last = events((await ask(client, "wait", budget={"seconds": 0.3})).text)[-1][2]
    assert last["status"] == "partial"
    assert "0.3" in last["reason"]


async def test_a_question_is_answered_in_the_same_run(open_door: Served) -> None:
    async with open_door.client() as client:
        asked = events((await ask(client, "ask")).text)
        run = asked[0][2]["run"]
        assert asked[-2][2]["options"] == ["this", "that"]
        wrong = await client.post(f"/api/v1/runs/{run}/resume", json={"value": "other"})
        assert wrong.status_code == 422
        rest = events((await client.post(f"/api/v1/runs/{run}/resume", json={"value": "this"})).text)
        assert rest[-2][2]["text"] == "this"
        assert int(rest[0][0].split(":")[1]) == len(asked) + 1
        assert (await client.post(f"/api/v1/runs/{run}/resume", json={"value": "this"})).status_code == 409


async def test_a_failed_run_says_why(open_door: Served) -> None:
    async with open_door.client() as client:
        last = events((await ask(client, "break")).text)
        assert last[-1][2]["status"] == "failed"
        whole = await ask(client, "break", stream=False)
    assert (whole.status_code, whole.json()["error"]["code"]) == (503, "engine_failed")


async def test_without_streaming_the_answer_comes_whole(open_door: Served) -> None:
    async with open_door.client() as client:
        answer = (await ask(client, "one two", stream=False)).json()
    assert answer["answer"]["text"] == "one two"
    assert answer["answer"]["citations"][0]["start"] == 7.0
    assert answer["status"] == "done"


async def test_threads_keep_turns_and_can_fork(open_door: Served) -> None:
    async with open_door.client() as client:
        await ask(client, "first", thread="t-1")
        await ask(client, "second", thread="t-1")
        listed = {each["thread"]: each for each in (await client.get("/api/v1/threads")).json()}
        assert listed["t-1"]["runs"] == 2
        turns = (await client.get("/api/v1/threads/t-1")).json()
        assert [(turn["question"], turn["answer"]["text"]) for turn in turns] == [("first",) * 2, ("second",) * 2]
        history = (await client.get("/api/v1/threads/t-1/history")).json()
        before_draft = next(each for each in history if each["next"] == ["draft"])
        forked = events(
            (await client.post("/api/v1/threads/t-1/fork", json={"checkpoint": before_draft["checkpoint"]})).text
        )
        assert forked[-2][2]["text"] == "second"
        assert [data["node"] for _, kind, data in forked if kind == "step" and data["state"] == "started"] == ["draft"]
        assert (await client.delete("/api/v1/threads/t-1")).json() == {"deleted": True}
        assert (await client.get("/api/v1/threads/t-1")).status_code == 404


async def test_one_tenant_never_sees_anothers_runs(locked: Served) -> None:
    async with locked.of("team-a") as a, locked.of("team-b") as b:
        run = (await ask(a, "mine", thread="t-a")).headers["x-run-id"]
        unknown = await b.get("/api/v1/runs/0000/events")
        for answer in (
            await b.get(f"/api/v1/runs/{run}/events", headers={"Last-Event-ID": f"{run}:2"}),
            await b.post(f"/api/v1/runs/{run}/cancel"),
            await b.post(f"/api/v1/runs/{run}/resume", json={"value": 1}),
            await b.get("/api/v1/threads/t-a"),
            await b.get("/api/v1/threads/t-a/history"),
            await b.post("/api/v1/threads/t-a/fork", json={"checkpoint": "x"}),
            await b.delete("/api/v1/threads/t-a"),
            await ask(b, "yours", thread="t-a"),
        ):
            assert answer.status_code == unknown.status_code == 404
            assert set(answer.json()["error"]) == set(unknown.json()["error"])
        assert (await b.get("/api/v1/threads")).json() == []
        assert len((await a.get("/api/v1/threads")).json()) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"question": ""},
        {"question": "a", "graph": "nothing"},
        {"question": "a", "thread": "../x"},
        {"question": "a", "budget": {"seconds": -1}},
        {"question": "a", "unknown": 1},
        {"question": ["a"]},
    ],
)
async def test_bad_questions(open_door: Served, body: dict[str, Any]) -> None:
    async with open_door.client() as client:
        answer = await client.post("/api/v1/chat", json=body)
    assert answer.status_code in (404, 422), answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("last", ["x", "other:1", "{run}:x", "{run}:-1", "{run}:²", "{run}:99999999999999999999"])
async def test_a_foreign_event_id_is_refused(open_door: Served, last: str) -> None:
    async with open_door.client() as client:
        run = (await ask(client)).headers["x-run-id"]
        raw = [(b"Last-Event-ID", last.format(run=run).encode())]
        assert (await client.get(f"/api/v1/runs/{run}/events", headers=raw)).status_code == 422


async def test_fifty_chats_at_once(open_door: Served) -> None:
    async with open_door.client(limits=httpx.Limits(max_connections=50)) as client:
        answers = await asyncio.gather(*(ask(client, f"question {n} with 40 tokens") for n in range(50)))
    assert {events(answer.text)[-1][2]["status"] for answer in answers} == {"done"}


async def test_graphs_are_drawn(open_door: Served) -> None:
    async with open_door.client() as client:
        graphs = (await client.get("/api/v1/graphs")).json()
        assert graphs[0]["name"] == "scripted"
        assert "draft" in graphs[0]["mermaid"]
        assert (await client.get("/api/v1/graphs/nothing")).status_code == 404
