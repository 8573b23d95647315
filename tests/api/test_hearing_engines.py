"""Named recognisers whose weights are too large for a test: tiny checkpoints in their publishers' layout, from the
archive to the endpoint."""

import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from api.host import Host
from api.observe import Metrics
from tests.api.conftest import Served, serve
from tests.api.fakes import open_fake_host
from tests.api.test_speech import recording
from tests.tools.checkpoints import make_whisper
from tests.tools.test_indic_conformer import make_indic_conformer, published
from tools.catalog import Catalog, load_catalog
from tools.open import open_bench
from tools.settings import Settings

pytestmark = pytest.mark.anyio


def host_of(*rows: str, catalog: Catalog | None = None) -> Any:
    """Opens a host of fakes that hears with these rows of the shipped catalogue."""

    @asynccontextmanager
    async def opener(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
        serves = {"speech-to-text": list(rows), "voice-activity": ["loudness"]}
        heard = settings.model_copy(update={"serves": serves})
        async with (
            open_fake_host(settings, metrics) as host,
            open_bench(heard, catalog=catalog or load_catalog()) as bench,
        ):
            yield replace(host, bench=replace(bench, parts=host.bench.parts))

    return opener


async def post(served: Served, data: bytes, **fields: str) -> Any:
    async with httpx.AsyncClient(base_url=served.url, timeout=240) as client:
        return await client.post("/api/v1/stt/transcribe", data=fields, files={"audio_file": ("a.wav", data)})


@pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None, reason="needs torch and transformers (`make gpu`)"
)
async def test_indic_whisper_comes_from_its_publishers_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights say anything or nothing; what is shown is the way from the zip to the answer."""
    make_whisper(tmp_path / "checkpoint", safetensors=False)
    for language, name in (("hi", "hindi"), ("ta", "tamil")):
        archive = tmp_path / "indic-whisper" / f"{name}_models.zip"
        archive.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in (tmp_path / "checkpoint").iterdir():
                packed.write(path, f"{name}_models/whisper-medium-{language}_alldata_multigpu/{path.name}")
            packed.writestr("../../outside.py", "raise SystemExit")
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache", offline=True, _env_file=None)
    async with serve(settings, host_of("indic-whisper", "indic-whisper-ta")) as served:
        speech = recording((0.3, 0), (1.5, 0.3), (0.3, 0))
        named = await post(served, speech, model="IndicWhisper")
        assert named.status_code == 200, named.text
        assert named.json()["model"] == "indic-whisper"
        assert {each["language"] for each in named.json()["segments"]} <= {"hi"}
        tamil = await post(served, speech, model="IndicWhisper", language="ta")
        assert tamil.status_code == 200, tamil.text
        assert tamil.json()["model"] == "indic-whisper-ta"
        assert "sister" in tamil.json()["reason"]
        missing = await post(served, speech, model="IndicWhisper", language="ur")
        assert missing.status_code == 501
        assert "urdu_models.zip" in missing.json()["error"]["message"]
    assert not (tmp_path / "outside.py").exists()
    assert not any(path.suffix == ".py" for path in (tmp_path / "cache").rglob("*"))


async def test_indic_conformer_answers_and_streams(tmp_path: Path) -> None:
    make_indic_conformer(tmp_path / "assets")
    shipped, row = load_catalog(), published(tmp_path / "assets")
    rows = [row if each.id == row.id else each for each in shipped.models]
    catalog = Catalog(models=rows, profiles=shipped.profiles)
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache", offline=True, _env_file=None)
    speech = recording((0.3, 0), (3, 0.3), (2, 0), (2, 0.3), (0.3, 0))
    async with serve(settings, host_of(row.id, "scripted-speech", catalog=catalog)) as served:
        heard = await post(served, speech, language="Tamil", words="true")
        assert heard.status_code == 200, heard.text
        assert heard.json()["model"] == row.id
        assert heard.json()["language"] == "ta"
        assert any(each["words"] for each in heard.json()["segments"])
        english = await post(served, speech, language="en")
        assert english.json()["model"] == "scripted-speech"
        assert "does not know" in english.json()["reason"]
        untold = await post(served, speech, model=row.id)
        assert untold.status_code == 422
        assert untold.json()["error"]["param"] == "language"
        told = await stream(served, speech[44:], language="hi", model=row.id)
        assert [each["type"] for each in told][:2] == ["ready", "turn"]
        assert any(each["type"] == "final" and each["words"] and each["language"] == "hi" for each in told)
        assert told[-1]["type"] == "done"


async def stream(served: Served, sound: bytes, **start: str) -> list[dict[str, Any]]:
    async with connect(served.url.replace("http", "ws") + "/api/v1/stt/stream") as socket:
        await socket.send(json.dumps({"type": "start", **start}))
        told = [json.loads(await socket.recv())]
        for first in range(0, len(sound), 8_000):
            await socket.send(sound[first : first + 8_000])
        await socket.send(json.dumps({"type": "finish"}))
        return told + [json.loads(each) async for each in socket]
