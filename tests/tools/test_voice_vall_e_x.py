"""VALL-E X on a tiny checkpoint, in an environment built for it and through the endpoint; and who speaks instead of it.

Random weights, the real code of its package, Vocos and the phonemes of all three languages.
"""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.conftest import Served
from tests.tools.speaking_hosts import from_folder, speaking_host
from tests.tools.test_isolated_vision import torch_pin
from tools.catalog import load_catalog
from tools.errors import NotInstalled
from tools.isolation.environments import Environments, find_uv
from tools.voice.vall_e_x import VallEX

pytestmark = pytest.mark.anyio

ENGINE = "tools.voice.vall_e_x:VallEX"
ROW = load_catalog().row("VALL-E X")
INDIAN = {"hi", "pa", "gu", "mr", "bn", "ta", "te", "kn", "ml", "or", "as", "kok", "sa", "ur"}


def pins() -> list[str]:
    """The row's, with the torch that is at hand."""
    torch = torch_pin().partition(" ")[2]
    return [torch, *(each for each in ROW.requirements if not each.startswith("torch=="))]


def lay_code(folder: Path) -> None:
    """The package's files that the row names, as they were when the row was written."""
    command = [str(find_uv()), "pip", "install", "--no-deps", "--target", str(folder / "all"), "vall-e-x==0.0.2a1"]
    if subprocess.run(command, capture_output=True, timeout=300, check=False).returncode:
        pytest.skip("needs the package vall-e-x: neither uv's cache nor a package index has it")
    for file in (each for each in ROW.files if each.name.endswith(".py")):
        target = folder / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "all" / file.name.removeprefix("code/"), target)
        assert hashlib.sha256(target.read_bytes()).hexdigest() == file.sha256, file.name
    shutil.rmtree(folder / "all")


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    home, folder = tmp_path_factory.mktemp("vallex-host") / "home", tmp_path_factory.mktemp("vallex")
    version, needs = torch_pin().partition(" ")[0], pins()
    await asyncio.to_thread(lay_code, folder)
    bare = from_folder("vallex-tiny", ENGINE, folder, [], python=version, requirements=needs, isolation="process")
    try:
        python = await Environments(home / "cache" / "environments").ensure(bare)
    except NotInstalled as error:
        if "Failed to fetch" in error.message:
            pytest.skip("needs the row's packages: neither uv's cache nor a package index has them")
        raise
    make = [str(python), "-B", str(Path(__file__).with_name("tiny_vall_e_x.py")), str(folder)]
    around = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    made = await asyncio.to_thread(
        subprocess.run, make, capture_output=True, text=True, timeout=300, env=around, check=False
    )
    assert made.returncode == 0, made.stderr[-2000:]
    row = from_folder(
        "vallex-tiny", ENGINE, folder, json.loads(made.stdout.splitlines()[-1]), languages=["en", "zh", "ja"],
        rate=24_000, python=version, requirements=needs, isolation="process", trust_remote_code=True,
        options={"heads": 2, "weights_only": True, "speakers": "ada:u lin:u"},
    )  # fmt: skip
    async with speaking_host([row], home) as served:
        yield served


@pytest.mark.parametrize(("language", "text"), [("en", "Hi."), ("zh", "你好"), ("ja", "はい")])
async def test_it_speaks_its_three_languages_through_the_endpoint(served: Served, language: str, text: str) -> None:
    body = {"text": text, "language": language, "model": "vallex-tiny", "voice": f"vallex-{language}-lin"}
    async with served.client() as client:
        answer = await client.post("/api/v1/tts/synthesize", json=body, timeout=300)
    assert answer.status_code == 200, answer.text
    assert "x-substitution" not in answer.headers, answer.headers["x-substitution"]
    told = {name: answer.headers[f"x-{name}"] for name in ("engine", "voice", "native-rate", "voice-kind")}
    assert told == {
        "engine": "vallex-tiny", "voice": f"vallex-{language}-lin", "native-rate": "24000", "voice-kind": "neural",
    }  # fmt: skip
    assert len(answer.content) > 10_000


async def test_hindi_is_spoken_by_another_and_the_reason_is_told(tmp_path: Path) -> None:
    async with speaking_host([], tmp_path / "home") as served, served.client() as client:
        body = {"text": "नमस्ते", "language": "hi", "model": "VALL-E X"}
        answer = await client.post("/api/v1/tts/synthesize", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-engine"] == "second"
    said = answer.headers["x-substitution"]
    assert "vall-e-x -> the profile's choice" in said
    assert "it does not speak Hindi, only English, Chinese, Japanese" in said


def test_the_row_says_what_it_is() -> None:
    assert (ROW.status, ROW.engine, ROW.isolation, ROW.on_request) == ("ready", ENGINE, "process", True)
    assert ROW.languages == ["en", "zh", "ja"]
    assert not INDIAN & set(ROW.languages)
    assert ROW.options["weights_only"]
    assert "no Indian language" in ROW.note
    assert "Microsoft never published" in ROW.note
    successor = load_catalog().row(ROW.replaced_by or "")
    assert {"hi", "ta", "bn"} <= set(successor.languages)
    presets = {file.name for file in ROW.files if file.name.startswith("presets/")}
    voices = VallEX.voices(ROW)
    assert {f"presets/{each.name}.npz" for each in voices} == presets
    assert {each.language for each in voices} == set(ROW.languages)
    assert not VallEX.emotions, "prosody makes its emotions"


def test_without_its_environment_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    files = {"bpe_69.json": tmp_path / "bpe_69.json"}
    with pytest.raises(NotInstalled, match="environment of its own"):
        VallEX(ROW, files, "cpu")
