"""The coding agent's endpoint: the owner's parameters, and what it refuses."""

import pytest

from tests.api.conftest import Served

pytestmark = pytest.mark.anyio


async def test_the_owners_parameters_and_defaults(open_door: Served) -> None:
    async with open_door.client() as client:
        schema = (await client.get("/openapi.json")).json()
    body = schema["paths"]["/api/v1/agent/code"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    model = schema["components"]["schemas"][body["$ref"].split("/")[-1]]
    assert set(model["required"]) == {"prompt", "language"}
    assert model["properties"]["complexity"]["default"] == "medium"
    assert model["properties"]["framework"].get("default") is None
    assert model["properties"]["mode"]["default"] == "generate"


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"prompt": "x"}, "language"),
        ({"prompt": "x", "language": "cobol"}, "language"),
        ({"language": "python"}, "prompt"),
        ({"prompt": "x", "language": "python", "complexity": "huge"}, "complexity"),
        ({"prompt": "x", "language": "python", "attempts": 1_000}, "attempts"),
        ({"prompt": "x", "language": "python", "archive": "../../etc"}, "archive"),
    ],
)
async def test_wrong_parameters_are_named(open_door: Served, sent: dict[str, object], param: str) -> None:
    async with open_door.client() as client:
        answer = await client.post("/api/v1/agent/code", json=sent)
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == param
