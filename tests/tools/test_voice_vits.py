"""VITS on a tiny checkpoint: the engine itself, and through the endpoints. Random weights: noise, but real code."""

from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.api.conftest import Served
from tests.tools.speaking_hosts import from_folder, speaking_host
from tests.tools.tiny_voices import make_mms
from tools.catalog import Row
from tools.errors import EngineFailed, NotInstalled
from tools.voice import SpeakOptions
from tools.voice.vits import Vits

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(find_spec("transformers") is None, reason="needs PyTorch and transformers (`make gpu`)"),
]

ENGINE = "tools.voice.vits:Vits"


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    folder = tmp_path_factory.mktemp("mms")
    return from_folder(
        "mms-tiny", ENGINE, folder, make_mms(folder), languages=["hi"], rate=16_000, options={"batch": 16}
    )


def files(row: Row) -> dict[str, Path]:
    return {file.name: Path(file.sources[0].removeprefix("file:")) for file in row.files}


@pytest.fixture(scope="module")
def engine(row: Row) -> Vits:
    return Vits(row, files(row), "cpu")


def options(row: Row, speed: float = 1.0) -> SpeakOptions:
    return SpeakOptions(Vits.voices(row)[0], "hi", speed)


def test_the_same_text_sounds_the_same(engine: Vits, row: Row) -> None:
    (first,), (second,), (other,) = (engine.speak(text, options(row)) for text in ("नमक", "नमक", "कमल"))
    assert first.rate == 16_000
    assert np.sqrt(np.mean(first.samples**2)) > 0.01
    assert np.array_equal(first.samples, second.samples)
    assert not np.array_equal(first.samples, other.samples)


def test_speed_is_its_own(engine: Vits, row: Row) -> None:
    lengths = [len(next(engine.speak("नमक कमल " * 10, options(row, speed))).samples) for speed in (0.5, 1.0, 2.0)]
    assert lengths[0] > 1.5 * lengths[1] > 1.5 * 1.2 * lengths[2]


def test_a_batch_keeps_order_and_lengths(engine: Vits, row: Row) -> None:
    sounds = engine.speak_all(["नमक कमल " * 8, "नमक"], options(row))
    assert len(sounds[0].samples) > 3 * len(sounds[1].samples)
    assert np.sqrt(np.mean(sounds[1].samples[-200:] ** 2)) > 1e-3, "no padding is heard"


def test_letters_that_it_does_not_know_are_told(engine: Vits, row: Row) -> None:
    with pytest.raises(EngineFailed, match="none of the letters of 'நன்றி'"):
        list(engine.speak("நன்றி", options(row)))


def test_a_voice_that_reads_latin_letters_is_refused(tmp_path: Path) -> None:
    foreign = from_folder("foreign", ENGINE, tmp_path, make_mms(tmp_path, uroman=True), languages=["hi"])
    with pytest.raises(NotInstalled, match="uroman"):
        Vits(foreign, files(foreign), "cpu")


def test_weights_that_lack_are_not_made_up(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    torn = from_folder("torn", ENGINE, tmp_path, make_mms(tmp_path), languages=["hi"])
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {name: each for name, each in weights.items() if "decoder.conv_pre" not in name},
        tmp_path / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(NotInstalled, match="conv_pre"):
        Vits(torn, files(torn), "cpu")


@pytest.fixture(scope="module")
async def served(row: Row, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with speaking_host([row], tmp_path_factory.mktemp("vits") / "home") as served:
        yield served


async def test_it_speaks_through_the_endpoint(served: Served) -> None:
    async with served.client() as client:
        body = {"text": "नमक। कमल Ravi।", "language": "hi", "emotion": "sad"}
        answer = await client.post("/api/v1/tts/synthesize", json=body)
    assert answer.status_code == 200, answer.text
    told = {name: answer.headers[f"x-{name}"] for name in ("engine", "voice", "voice-kind", "native-rate", "language")}
    assert told == {
        "engine": "mms-tiny", "voice": "mms-tiny", "voice-kind": "neural", "native-rate": "16000", "language": "hi",
    }  # fmt: skip
    assert "second-en-female: 'mms-tiny' does not read this script" in answer.headers["x-substitution"]
    assert answer.headers["x-emotion"].startswith("sad; by pitch")


async def test_the_voices_are_told_with_their_licence(served: Served) -> None:
    async with served.client() as client:
        voices: list[dict[str, Any]] = (await client.get("/api/v1/tts/voices?language=hi")).json()["voices"]
    assert [voices[0][name] for name in ("id", "engine", "licence", "gender", "native_rate")] == [
        "mms-tiny", "mms-tiny", "CC-BY-NC-4.0", "unknown", 16_000,
    ]  # fmt: skip


async def test_a_batch_goes_through_it_at_once(served: Served) -> None:
    texts = ["नमक।", "कमल।", "!!!", "नमन करो।"]
    async with served.client() as client:
        answer = (await client.post("/api/v1/tts/batch", json={"texts": texts, "language": "hi"})).json()
    assert (answer["spoken"], answer["failed"]) == (3, 1)
    assert [each["speech"] and each["speech"]["model"] for each in answer["items"]] == [
        "mms-tiny", "mms-tiny", None, "mms-tiny",
    ]  # fmt: skip
