"""Bark on a tiny checkpoint: the engine itself, and through the endpoints. Random weights: noise, but real code."""

import io
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest

from tests.api.conftest import Served
from tests.tools.speaking_hosts import from_folder, speaking_host
from tests.tools.tiny_voices import make_bark
from tools.catalog import Row
from tools.errors import InvalidInput, NotInstalled
from tools.voice import Sound, SpeakOptions, Voice
from tools.voice.bark import Bark
from tools.voice.sentences import breaths

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(find_spec("transformers") is None, reason="needs PyTorch and transformers (`make gpu`)"),
]

ENGINE = "tools.voice.bark:Bark"


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    folder = tmp_path_factory.mktemp("bark")
    options = {"weights_only": True, "min_eos_p": 0.0}
    return from_folder(
        "bark-tiny", ENGINE, folder, make_bark(folder), languages=["en", "hi"], rate=24_000, options=options
    )


def files(row: Row) -> dict[str, Path]:
    return {file.name: Path(file.sources[0].removeprefix("file:")) for file in row.files}


@pytest.fixture(scope="module")
def engine(row: Row) -> Bark:
    return Bark(row, files(row), "cpu")


def voice(row: Row, id: str = "bark-en_speaker_6") -> SpeakOptions:
    return SpeakOptions(next(each for each in Bark.voices(row) if each.id == id), "en")


def test_its_presets_are_its_voices(row: Row) -> None:
    assert [(each.id, each.language, each.gender) for each in Bark.voices(row)] == [
        ("bark-en_speaker_6", "en", "male"),
        ("bark-hi_speaker_0", "hi", "female"),
    ]


def test_the_same_text_and_voice_sound_the_same(engine: Bark, row: Row) -> None:
    heard = [
        next(engine.speak(text, voice(row, id)))
        for text, id in (("Hello", "en_speaker_6"), ("Hello", "en_speaker_6"), ("Bye", "en_speaker_6"),
                         ("Hello", "hi_speaker_0"))
        for id in (f"bark-{id}",)
    ]  # fmt: skip
    assert {each.rate for each in heard} == {24_000}
    assert np.sqrt(np.mean(heard[0].samples ** 2)) > 0.005
    assert np.array_equal(heard[0].samples, heard[1].samples)
    assert not np.array_equal(heard[0].samples, heard[2].samples)
    assert not np.array_equal(heard[0].samples, heard[3].samples), "the preset is heard"


def test_a_laugh_and_a_sigh_are_words_of_its_text(engine: Bark, row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    said, spoken = list[list[str]](), engine._pass

    def noting(texts: list[str], options: SpeakOptions) -> list[Sound]:
        said.append(texts)
        return spoken(texts, options)

    monkeypatch.setattr(engine, "_pass", noting)
    plain = voice(row)
    for emotion in ("happy", "sad", "neutral"):
        list(engine.speak("Well", SpeakOptions(plain.voice, "en", emotion=emotion)))
    assert said == [["[laughs] Well"], ["[sighs] Well"], ["Well"]]
    assert "angry" not in Bark.emotions


def test_long_texts_come_in_parts_and_batches_in_order(engine: Bark, row: Row) -> None:
    long = "many words, " * 30
    assert max(map(len, breaths(long, 170))) <= 170
    assert len(list(engine.speak(long, voice(row)))) == 3
    sounds = engine.speak_all([long, "One"], voice(row))
    assert len(sounds[0].samples) == 3 * len(sounds[1].samples)


def test_a_preset_that_hides_a_pickle_is_refused(engine: Bark, row: Row, tmp_path: Path) -> None:
    path = tmp_path / "en_speaker_1.npz"
    np.savez(path, semantic_prompt=np.array([print], dtype=object), allow_pickle=True)
    torn = Bark.__new__(Bark)
    torn._row, torn._files, torn._presets, torn._model = row, {path.name: path}, {}, engine._model
    with pytest.raises(NotInstalled, match="allow_pickle"):
        torn._preset("bark-en_speaker_1")
    with pytest.raises(InvalidInput, match="no voice"):
        list(engine.speak("Hello", SpeakOptions(Voice("bark-en_speaker_3", "en", "male", "neural"), "en")))


@pytest.fixture(scope="module")
async def served(row: Row, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with speaking_host([row], tmp_path_factory.mktemp("bark-host") / "home") as served:
        yield served


async def test_it_speaks_through_the_endpoint(served: Served) -> None:
    lengths = list[float]()
    for speed in (1.0, 2.0):
        body = {"text": "Hello there.", "language": "en", "emotion": "happy", "voice": "female", "speed": speed}
        async with served.client() as client:
            answer = await client.post("/api/v1/tts/synthesize", json=body)
        assert answer.status_code == 200, answer.text
        told = {name: answer.headers[f"x-{name}"] for name in ("engine", "voice", "native-rate", "voice-kind")}
        assert told == {
            "engine": "bark-tiny", "voice": "bark-en_speaker_6", "native-rate": "24000", "voice-kind": "neural",
        }  # fmt: skip
        assert "x-emotion" not in answer.headers, "it acts itself"
        with av.open(io.BytesIO(answer.content), "r") as container:
            lengths.append(sum(int(frame.samples) for frame in container.decode(audio=0)) / 44_100)
    assert lengths[0] / lengths[1] == pytest.approx(2, rel=0.35), "it has no speeds, so the sound is stretched"


async def test_a_batch_goes_through_it_at_once(served: Served) -> None:
    body = {"texts": ["One.", "Two.", "Three."], "language": "en"}
    async with served.client() as client:
        answer = (await client.post("/api/v1/tts/batch", json=body)).json()
    assert [each["speech"]["model"] for each in answer["items"]] == ["bark-tiny"] * 3
