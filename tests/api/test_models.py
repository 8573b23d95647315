"""Models over HTTP: the catalogue with its reasons, plans, loads that stream, memory that is given back."""

import pytest

from tests.api.conftest import Served
from tests.api.test_tools import frames

pytestmark = pytest.mark.anyio


async def test_a_retired_model_says_what_serves_in_its_place(open_door: Served) -> None:
    async with open_door.client() as client:
        listed = {each["row"]["id"]: each for each in (await client.get("/api/v1/models")).json()}
        assert (await client.get("/api/v1/models/nothing")).status_code == 404
    assert listed["lengths"]["installed"] is True
    assert listed["old"]["serves_as"] == "lengths"
    assert listed["old"]["row"]["note"] == "its server is gone"


async def test_plan_load_and_unload(open_door: Served) -> None:
    async with open_door.client() as client:
        await client.post("/api/v1/models/lengths/unload")
        assert (await client.get("/api/v1/models/old/plan")).json()["verdict"] == "fits"
        loading = await client.post("/api/v1/models/lengths/load", headers={"Accept": "text/event-stream"})
        events = frames(loading.text)
        assert [data["state"] for kind, data in events if kind == "model"][-1] == "ready"
        assert events[-1][0] == "result"
        memory = (await client.get("/api/v1/models/residents")).json()
        assert [each["model"] for each in memory["residents"]] == ["lengths"]
        assert memory["devices"]["cpu"]["budget"] == 1.0
        assert (await client.post("/api/v1/models/lengths/unload")).status_code == 200
        assert (await client.get("/api/v1/models/residents")).json()["residents"] == []


async def test_what_happens_to_models_is_streamed(open_door: Served) -> None:
    async with open_door.client() as client:
        await client.post("/api/v1/models/lengths/unload")
        async with client.stream("GET", "/api/v1/models/events") as stream:
            await client.post("/api/v1/models/lengths/load")
            async for line in stream.aiter_lines():
                if line.startswith("data:") and '"ready"' in line:
                    break
