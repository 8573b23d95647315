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
        sent = {"data": values, "files": files or {"ignored": FILE}} if files else {"data": values}
        answer = await client.post(row.path, **(sent if takes_files else {"json": values}))
        assert answer.status_code == 501, answer.text
        assert answer.json()["error"]["code"] == "not_installed"
        assert row.instead in answer.json()["error"]["message"]
        if needed:
            nothing = client.post(row.path, data={}) if takes_files else client.post(row.path, json={})
            assert (await nothing).status_code == 422
