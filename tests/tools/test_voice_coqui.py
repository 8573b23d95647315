"""Coqui's models on tiny checkpoints: the engines themselves, and through the endpoint. Random weights, real code."""

import json
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.api.conftest import Served
from tests.tools.speaking_hosts import from_folder, speaking_host
from tests.tools.tiny_coqui import make_coqui_vits, make_indic_tts, make_xtts
from tools.catalog import Row
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.voice import Pcm, SpeakOptions, Voice
from tools.voice.coqui import Coqui, Xtts
from tools.voice.torchaudio_stand_in import stand_in

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(find_spec("TTS") is None, reason="needs PyTorch and coqui-tts (`make gpu`)"),
]


@pytest.fixture(scope="module", autouse=True)
def importable() -> None:
    if find_spec("TTS"):
        stand_in()


def files(row: Row) -> dict[str, Path]:
    return {file.name: Path(file.sources[0].removeprefix("file:")) for file in row.files}


def said(engine: Coqui | Xtts, text: str, voice: Voice, speed: float = 1.0) -> Pcm:
    return np.concatenate([each.samples for each in engine.speak(text, SpeakOptions(voice, voice.language, speed))])


@pytest.fixture(scope="module")
def indic(tmp_path_factory: pytest.TempPathFactory) -> Row:
    folder = tmp_path_factory.mktemp("indic") / "hi"
    options = {"weights_only": True, "speakers": "female male"}
    return from_folder(
        "indic-tiny", "tools.voice.coqui:Coqui", folder, make_indic_tts(folder), languages=["hi"], rate=22_050,
        licence="MIT", commercial=True, isolation="process", options=options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def fastpitch(indic: Row) -> Coqui:
    return Coqui(indic, files(indic), "cpu")


def test_both_speakers_of_indic_tts_speak_at_two_speeds(fastpitch: Coqui, indic: Row) -> None:
    female, male = Coqui.voices(indic)
    assert [(each.id, each.gender) for each in (female, male)] == [
        ("indic-tiny-female", "female"), ("indic-tiny-male", "male"),
    ]  # fmt: skip
    first, again, other = (said(fastpitch, "नमक कमल", voice) for voice in (female, female, male))
    assert np.sqrt(np.mean(first**2)) > 0.01
    assert np.array_equal(first, again)
    assert len(first) != len(other) or not np.allclose(first, other, atol=1e-4)
    silence = 10_000
    slow, fast = (len(said(fastpitch, "नमक कमल " * 8, female, speed)) - silence for speed in (0.5, 2.0))
    assert slow > 2.5 * fast


def test_the_published_configuration_is_read_and_not_changed(indic: Row) -> None:
    told = json.loads(files(indic)["fastpitch/config.json"].read_text("utf-8"))
    assert told["speakers_file"] == "/home/somebody/models/v1/hi/fastpitch/speakers.pth"


def test_what_it_cannot_say_is_told(fastpitch: Coqui, indic: Row) -> None:
    with pytest.raises(EngineFailed, match="none of the letters"):
        said(fastpitch, "ქართული", Coqui.voices(indic)[0])
    with pytest.raises(InvalidInput, match="no speaker 'child'"):
        said(fastpitch, "नमक", Voice("indic-tiny-child", "hi", "unknown", "neural", name="child"))


def test_a_checkpoint_that_would_run_code_is_not_loaded(indic: Row, tmp_path: Path) -> None:
    import torch

    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (marker,))

    torch.save({"model": {}, "config": Evil()}, tmp_path / "best_model.pth")
    (tmp_path / "config.json").write_text(files(indic)["fastpitch/config.json"].read_text("utf-8"))
    (tmp_path / "speakers.pth").write_bytes(files(indic)["fastpitch/speakers.pth"].read_bytes())
    with pytest.raises(NotInstalled, match="more than tensors"):
        Coqui(indic, {**files(indic), "fastpitch/best_model.pth": tmp_path / "best_model.pth"}, "cpu")
    assert not marker.exists()


def test_vits_needs_no_vocoder(tmp_path: Path) -> None:
    row = from_folder("vits-tiny", "x:y", tmp_path, make_coqui_vits(tmp_path), languages=["en"], rate=22_050)
    engine = Coqui(row, files(row), "cpu")
    (voice,) = Coqui.voices(row)
    first, again = (said(engine, "hello there", voice) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.sqrt(np.mean(first**2)) > 0.01


def test_xtts_speaks_with_its_publishers_speakers(tmp_path: Path) -> None:
    options = {"weights_only": True, "speakers": "Ana Florence:f,Kumar Dahl:m"}
    row = from_folder("xtts-tiny", "x:y", tmp_path, make_xtts(tmp_path), languages=["en", "hi"], options=options)
    engine = Xtts(row, files(row), "cpu")
    voices = Xtts.voices(row)
    assert [(each.id, each.gender) for each in voices] == [
        ("xtts-en-ana-florence", "female"), ("xtts-en-kumar-dahl", "male"),
        ("xtts-hi-ana-florence", "female"), ("xtts-hi-kumar-dahl", "male"),
    ]  # fmt: skip
    ana, kumar = (said(engine, "hello there.", voice) for voice in voices[:2])
    assert np.array_equal(ana, said(engine, "hello there.", voices[0]))
    assert not np.array_equal(ana, kumar)
    assert len(said(engine, "hello there.", voices[0], 2.0)) < 0.7 * len(ana)
    assert len(said(engine, "नमक।", voices[2])) > 0
    with pytest.raises(InvalidInput, match="no speaker 'Nobody'"):
        said(engine, "hello", Voice("xtts-en-nobody", "en", "male", "neural", name="Nobody"))


@pytest.fixture(scope="module")
async def served(indic: Row, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with speaking_host([indic], tmp_path_factory.mktemp("coqui-host") / "home") as served:
        yield served


async def test_it_speaks_through_the_endpoint_from_a_process_of_its_own(served: Served) -> None:
    async with served.client() as client:
        client.timeout = 120
        body = {"text": "नमक। कमल।", "language": "hi", "voice": "male", "emotion": "happy"}
        answer = await client.post("/api/v1/tts/synthesize", json=body)
        listed = (await client.get("/api/v1/tts/voices?language=hi")).json()["voices"]
    assert answer.status_code == 200, answer.text
    told = {name: answer.headers[f"x-{name}"] for name in ("engine", "voice", "native-rate", "voice-kind")}
    assert told == {
        "engine": "indic-tiny", "voice": "indic-tiny-male", "native-rate": "22050", "voice-kind": "neural",
    }  # fmt: skip
    assert answer.headers["x-emotion"].startswith("happy; by pitch")
    assert "x-substitution" not in answer.headers
    assert [(each["id"], each["gender"], each["licence"]) for each in listed[:2]] == [
        ("indic-tiny-female", "female", "MIT"), ("indic-tiny-male", "male", "MIT"),
    ]  # fmt: skip
