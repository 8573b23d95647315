"""Parler on a tiny checkpoint, in an interpreter of its own and through the endpoint. Random weights, real code.

`SUTRADHAR_TEST_PARLER` names a Python that has the row's requirements; the code of parler-tts does not run beside ours.
"""

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from tests.api.conftest import Served
from tests.tools.speaking_hosts import from_folder, speaking_host
from tools.catalog import Row, load_catalog
from tools.errors import InvalidInput, NotInstalled
from tools.isolation import process
from tools.voice import Pcm, SpeakOptions, TextToSpeech, Together, Voice
from tools.voice.parler import Parler, description

pytestmark = pytest.mark.anyio

ENGINE = "tools.voice.parler:Parler"
PYTHON = os.environ.get("SUTRADHAR_TEST_PARLER", "")
apart = pytest.mark.skipif(not PYTHON, reason="SUTRADHAR_TEST_PARLER names no Python with parler-tts")
DIVYA = Voice("parler-hi-divya", "hi", "female", "neural", "Parler Divya", "Divya")


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    folder = tmp_path_factory.mktemp("parler")
    command = [PYTHON, str(Path(__file__).with_name("tiny_parler.py")), str(folder)]
    made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    names = json.loads(made.stdout.strip().splitlines()[-1])
    options = {"speakers": "hi:Divya:f hi:Rohit:m en:Thoma:m"}
    return from_folder(
        "parler-tiny", ENGINE, folder, names, languages=["en", "hi"], rate=44_100, options=options,
        isolation="process", python=PYTHON,
    )  # fmt: skip


def files(row: Row) -> dict[str, Path]:
    return {file.name: Path(file.sources[0].removeprefix("file:")) for file in row.files}


def test_what_is_said_about_the_speaker() -> None:
    plain = SpeakOptions(DIVYA, "hi")
    assert "Divya speaks in a neutral tone with a moderate-pitched voice at a moderate pace." in description(plain)
    told = description(replace(plain, emotion="angry", speed=1.6, pitch=0.8))
    assert "angry tone with a low-pitched voice at a very fast pace" in told
    assert "slow" in description(replace(plain, speed=0.8))
    with pytest.raises(InvalidInput, match="one of its speakers"):
        description(replace(plain, voice=replace(DIVYA, name="")))


def test_the_row_has_speakers_of_every_indian_language_that_was_asked_for() -> None:
    row = load_catalog().row("indic-parler-tts")
    voices = Parler.voices(row)
    assert {each.language for each in voices} <= set(row.languages)
    asked = {"hi", "pa", "gu", "mr", "bn", "ta", "te", "kn", "ml", "or", "as", "sa", "en"}
    assert asked <= {each.language for each in voices}
    assert len({each.id for each in voices}) == len(voices)
    assert next(each for each in voices if each.language == "hi").title == "Parler Divya"
    assert any(line.startswith("parler-tts") for line in row.requirements)


def test_without_its_environment_it_says_what_is_missing(tmp_path: Path) -> None:
    if sys.executable == PYTHON:
        pytest.skip("this interpreter has parler-tts")
    with pytest.raises(NotInstalled, match="environment of its own"):
        Parler(load_catalog().row("indic-parler-tts"), {"config.json": tmp_path / "config.json"}, "cpu")


@apart
async def test_it_speaks_from_its_own_interpreter(row: Row) -> None:
    options = SpeakOptions(DIVYA, "hi")
    async with process.spawn(ENGINE, files(row), row=row, python=PYTHON) as child:

        async def said(text: str, options: SpeakOptions = options) -> list[Pcm]:
            return [each.samples async for each in child.stream(TextToSpeech.speak, text, options)]

        first, again, other = await said("नमस्ते"), await said("नमस्ते"), await said("धन्यवाद")
        angry = await said("नमस्ते", replace(options, emotion="angry"))
        assert len(first[0]) > 1_000
        assert np.sqrt(np.mean(first[0] ** 2)) > 0.001
        assert np.array_equal(first[0], again[0])
        assert not np.array_equal(first[0], other[0])
        assert not np.array_equal(first[0], angry[0]), "the description is heard"
        sounds = await child.call(Together.speak_all, ["नमस्ते", "धन्यवाद " * 40], options)
        assert [each.rate for each in sounds] == [44_100, 44_100]
        assert len(sounds[1].samples) > len(sounds[0].samples)


@pytest.fixture(scope="module")
async def served(row: Row, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with speaking_host([row], tmp_path_factory.mktemp("parler-host") / "home") as served:
        yield served


@apart
async def test_it_speaks_through_the_endpoint(served: Served) -> None:
    body = {"text": "नमस्ते दुनिया।", "language": "hi", "emotion": "sad", "speed": 1.3, "model": "parler-tiny"}
    async with served.client() as client:
        answer = await client.post("/api/v1/tts/synthesize", json=body)
    assert answer.status_code == 200, answer.text
    told = {name: answer.headers[f"x-{name}"] for name in ("engine", "voice", "native-rate", "voice-kind")}
    assert told == {
        "engine": "parler-tiny", "voice": "parler-hi-divya", "native-rate": "44100", "voice-kind": "neural",
    }  # fmt: skip
    assert "x-emotion" not in answer.headers, "it acts itself"
    with av.open(io.BytesIO(answer.content), "r") as container:
        assert sum(int(frame.samples) for frame in container.decode(audio=0)) > 1_000


@apart
async def test_a_batch_goes_through_it_at_once(served: Served) -> None:
    body = {"texts": ["एक।", "दो।", "तीन।"], "language": "hi", "model": "parler-tiny"}
    async with asyncio.timeout(120), served.client() as client:
        answer = (await client.post("/api/v1/tts/batch", json=body)).json()
    assert [each["speech"]["model"] for each in answer["items"]] == ["parler-tiny"] * 3
