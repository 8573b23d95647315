"""The endpoints that are not built yet: exactly the owner's parameters, checked, then an honest 501."""

import pytest

from api.later import LATER, Later
from tests.api.conftest import Served

pytestmark = pytest.mark.anyio

FILE = ("a.mp4", b"0000", "video/mp4")
SAMPLE = {"language": "hi", "texts": ["a"], "content_type": "blog", "knowledge_base": "kb", "voice": "x", "model": "m"}


@pytest.mark.parametrize("row", LATER, ids=lambda row: row.path)
async def test_good_parameters_get_501_and_the_reason(open_door: Served, row: Later) -> None:
    needed = [name for name, kind in row.parameters.items() if not isinstance(kind, tuple)]
    files = {name: FILE for name in needed if "file" in name}
    values = {name: SAMPLE.get(name, "a") for name in needed if name not in files}
    takes_files = any("UploadFile" in repr(kind) for kind in row.parameters.values())
    async with open_door.client() as client:
        if row.at_least_one:
            assert (await client.post(row.path, data={})).status_code == 422
            values = {"text": "a"}
        sent = {"data": values, "files": files or {"ignored": FILE}} if files else {"data": values}
        answer = await client.post(row.path, **(sent if takes_files else {"json": values}))
        assert answer.status_code == 501, answer.text
        assert answer.json()["error"]["code"] == "not_installed"
        assert row.instead in answer.json()["error"]["message"]
        if needed:
            nothing = client.post(row.path, data={}) if takes_files else client.post(row.path, json={})
            assert (await nothing).status_code == 422


async def test_the_owners_endpoints_are_in_the_openapi(open_door: Served) -> None:
    async with open_door.client() as client:
        schema = (await client.get("/openapi.json")).json()
    body = schema["paths"]["/api/v1/rag/generate"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    model = schema["components"]["schemas"][body["$ref"].split("/")[-1]]["properties"]
    assert {name: each.get("default") for name, each in model.items()} == {
        "query": None,
        "knowledge_base": None,
        "modality": "text",
        "temporal_context": True,
    }


@pytest.mark.parametrize("modality", [0, "smell"])
async def test_wrong_parameters_are_refused_before(open_door: Served, modality: object) -> None:
    asked = {"query": "a", "knowledge_base": "b", "modality": modality}
    async with open_door.client() as client:
        answer = await client.post("/api/v1/rag/generate", json=asked)
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "modality"
