"""Speech to text over HTTP: the owner's endpoint, and OpenAI's with its client. Scripted ears, real decoding."""

import io
import json
import struct
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import openai
import pytest
from openai import AsyncOpenAI

from api.host import Host
from api.observe import Metrics
from tests.api.conftest import Served, serve
from tests.api.fakes import open_fake_host
from tools.open import open_bench
from tools.settings import Settings

pytestmark = pytest.mark.anyio

EARS = {
    "speech-to-text": ["scripted-speech"],
    "voice-activity": ["loudness"],
    "diarization": ["high-and-low"],
}
SAID = "The quick brown fox jumps over the lazy dog."


@asynccontextmanager
async def open_hearing_host(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
    """A host of fakes whose bench has scripted ears."""
    heard = settings.model_copy(update={"serves": EARS})
    async with open_fake_host(settings, metrics) as host, open_bench(heard) as bench:
        yield replace(host, bench=replace(bench, parts=host.bench.parts))


@pytest.fixture(scope="module")
async def hearing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    home = tmp_path_factory.mktemp("hearing") / "home"
    async with serve(Settings(home=home, offline=True, _env_file=None), open_hearing_host) as served:
        yield served


def recording(*pieces: tuple[float, float]) -> bytes:
    """A WAV of seconds and loudness."""
    random = np.random.default_rng(3)
    return as_wav(np.concatenate([random.normal(0, loud, int(seconds * 16_000)) for seconds, loud in pieces]))


def as_wav(sound: Any) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes((np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes())
    return file.getvalue()


def tones(*pieces: tuple[float, float]) -> bytes:
    """A WAV of seconds and hertz; 0 is silence."""
    sound = [0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * 16_000)) / 16_000) for seconds, hertz in pieces]
    return as_wav(np.concatenate(sound))


SPEECH = recording((1, 0), (2, 0.3), (5, 0), (2, 0.3), (1, 0))


async def post(served: Served, data: bytes, **fields: str) -> Any:
    async with served.client() as client:
        return await client.post("/api/v1/stt/transcribe", data=fields, files={"audio_file": ("a.wav", data)})


def files_under(folder: Path) -> Iterator[Path]:
    return (each for each in folder.rglob("*") if each.is_file())


async def test_a_file_is_written_down_and_not_kept(hearing: Served) -> None:
    answer = await post(hearing, SPEECH, words="true")
    assert answer.status_code == 200, answer.text
    heard = answer.json()
    assert heard["text"] == f"{SAID} {SAID}"
    assert [(round(each["start"]), round(each["end"])) for each in heard["segments"]] == [(1, 3), (8, 10)]
    assert len(heard["segments"][0]["words"]) == 9
    assert (heard["language"], heard["model"], heard["mode"]) == ("en", "scripted-speech", "transcribe")
    # it is dropped when the answer has been sent
    with anyio.fail_after(10):
        while list(files_under(hearing.app.state.host.settings.home / "media")):  # noqa: ASYNC110
            await anyio.sleep(0.02)


async def test_segments_stream_as_they_are_heard(hearing: Served) -> None:
    answer = await post(hearing, SPEECH, real_time="true")
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = [each.split("\n") for each in answer.text.split("\n\n") if each.startswith("event:")]
    assert [each[0] for each in frames if "model" not in each[0]] == ["event: segment"] * 2 + ["event: result"]
    assert json.loads(frames[-1][1].removeprefix("data: "))["text"] == f"{SAID} {SAID}"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (recording((3, 0)), "silent"),
        (recording((3, 0.005)), "Nobody speaks"),
    ],
)
async def test_what_has_no_speech_is_empty_with_a_reason(hearing: Served, data: bytes, why: str) -> None:
    answer = await post(hearing, data)
    assert answer.status_code == 200
    assert (answer.json()["text"], answer.json()["segments"]) == ("", [])
    assert why in answer.json()["empty"]


def ten_hours() -> bytes:
    """An MP3 of a second whose header says that it has ten hours of frames."""
    frames = 10 * 3600 * 44_100 // 1_152
    frame = bytes.fromhex("fffb9064") + bytes(32) + b"Xing" + struct.pack(">II", 1, frames)
    silence = bytes.fromhex("fffb9064") + bytes(413)
    return frame.ljust(417, b"\0") + silence * 40


@pytest.mark.parametrize(
    ("data", "fields", "status", "param"),
    [
        (b"", {}, 415, None),
        (b"no sound at all " * 400, {}, 415, None),
        (b"RIFF\x00\x00\x00\x00WAVEfmt " + b"\xff" * 5_000, {}, 415, None),
        (ten_hours(), {}, 413, None),
        (SPEECH, {"language": "xx"}, 422, "language"),
        (SPEECH, {"mode": "sing"}, 422, "mode"),
        (SPEECH, {"model": "no-such-model"}, 404, "model"),
        (SPEECH, {"model": "silero-vad"}, 422, "model"),
        (SPEECH, {"speed": "2"}, 422, "speed"),
    ],
)
async def test_bad_input_is_refused(
    hearing: Served, data: bytes, fields: dict[str, str], status: int, param: str | None
) -> None:
    answer = await post(hearing, data, **fields)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["param"] == param
    assert len(answer.json()["error"]["message"]) > 10


async def test_too_long_a_medium_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", offline=True, _env_file=None)
    short = settings.model_copy(update={"limits": settings.limits.model_copy(update={"seconds": 10.0})})
    async with serve(short, open_hearing_host) as served:
        answer = await post(served, SPEECH)
    assert answer.status_code == 413
    assert "lasts 11 s" in answer.json()["error"]["message"]


async def test_a_form_without_or_with_too_many_files_is_refused(hearing: Served) -> None:
    async with hearing.client() as client:
        none = await client.post("/api/v1/stt/transcribe", files={"other": ("a.wav", SPEECH)})
        two = [("audio_file", ("a.wav", SPEECH)), ("audio_file", ("b.wav", SPEECH))]
        many = await client.post("/api/v1/stt/transcribe", files=two)
        json_ = await client.post("/api/v1/stt/transcribe", json={})
    assert [none.status_code, many.status_code, json_.status_code] == [422, 422, 400]


@pytest.mark.parametrize("language", ["auto", "en", "en-GB", "English", "hi", "Hindi"])
async def test_a_language_has_several_names(hearing: Served, language: str) -> None:
    heard = (await post(hearing, SPEECH, language=language)).json()
    assert heard["language"] == ("hi" if language.lower().startswith("hi") else "en")


def client_of(served: Served) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


async def test_openai_json_and_text(hearing: Served) -> None:
    async with client_of(hearing) as client:
        whole = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", SPEECH))
        text = await client.audio.transcriptions.create(
            model="whisper-1", file=("a.wav", SPEECH), response_format="text", temperature=0.2
        )
        english = await client.audio.translations.create(model="whisper-1", file=("a.wav", SPEECH))
    assert whole.text == f"{SAID} {SAID}"
    assert text.strip() == whole.text
    assert english.text == whole.text


async def test_openai_verbose_json_has_words_and_segments(hearing: Served) -> None:
    async with client_of(hearing) as client:
        heard = await client.audio.transcriptions.create(
            model="scripted-speech",
            file=("a.wav", SPEECH),
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            language="en",
        )
    assert (heard.language, heard.duration) == ("en", 11.0)
    assert [segment.id for segment in heard.segments or []] == [0, 1]
    assert [word.word for word in heard.words or []] == [*SAID.split(), *SAID.split()]
    assert heard.usage is not None
    assert heard.usage.seconds == 11.0


async def test_openai_subtitles(hearing: Served) -> None:
    async with client_of(hearing) as client:
        srt = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", SPEECH), response_format="srt")
        vtt = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", SPEECH), response_format="vtt")
    assert srt.startswith("1\n00:00:00,")
    assert srt.count(" --> ") == vtt.count(" --> ") == 2
    assert vtt.startswith("WEBVTT\n\n00:00:00.")


async def test_openai_stream(hearing: Served) -> None:
    async with client_of(hearing) as client:
        stream = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", SPEECH), stream=True)
        events = [event.model_dump() async for event in stream]
    assert [event["type"] for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event["delta"] for event in events[:2]) == events[-1]["text"] == f"{SAID} {SAID}"


async def test_openai_errors_are_the_clients_own(hearing: Served) -> None:
    async with client_of(hearing) as client:
        with pytest.raises(openai.UnprocessableEntityError, match="language 'xx'"):
            await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", SPEECH), language="xx")
        with pytest.raises(openai.APIStatusError, match="not a video or sound"):
            await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"nothing" * 999))


async def test_the_models_that_hear_are_listed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", offline=True, _env_file=None)
    async with (
        serve(settings, open_hearing_host) as served,
        AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as client,
    ):
        listed = {model.id async for model in await client.models.list()}
    assert {"whisper-base", "indic-conformer-600m", "kokoro-82m"} <= listed
    assert "silero-vad" not in listed


@pytest.mark.parametrize("mode", ["verbatim", "code-mixed"])
async def test_the_mode_is_in_the_answer(hearing: Served, mode: str) -> None:
    answer = await post(hearing, SPEECH, mode=mode)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["mode"], answer.json()["languages"]) == (mode, ["en"])


TALK = tones((1, 0), (3, 200), (1, 0), (3, 3000), (1, 0))


async def test_speakers_are_told_apart_on_request(hearing: Served) -> None:
    heard = (await post(hearing, TALK, diarize="true")).json()
    assert [each["speaker"] for each in heard["segments"]] == ["A", "B"]
    assert heard["diarized_by"] == "high-and-low"
    one = (await post(hearing, TALK, diarize="true", speakers="1")).json()
    assert [each["speaker"] for each in one["segments"]] == ["A"]
    refused = await post(hearing, TALK, diarize="true", speakers="0")
    assert refused.status_code == 422, refused.text
    answer = await post(hearing, TALK, diarize="true", real_time="true")
    results = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [each["speaker"] for each in results[-1]["segments"]] == ["A", "B"]


async def test_openais_client_reads_who_speaks(hearing: Served) -> None:
    async with client_of(hearing) as client:
        heard = await client.audio.transcriptions.create(
            file=("a.wav", TALK), model="gpt-4o-transcribe-diarize", response_format="diarized_json"
        )
        assert [each.speaker for each in heard.segments] == ["A", "B"]
        assert " ".join(each.text for each in heard.segments) == heard.text == SAID
        assert heard.duration == pytest.approx(9, abs=0.1)
        stream = await client.audio.transcriptions.create(
            file=("a.wav", TALK), model="gpt-4o-transcribe-diarize", response_format="diarized_json", stream=True
        )
        events = [event async for event in stream]
    assert [event.speaker for event in events if event.type == "transcript.text.segment"] == ["A", "B"]
    assert events[-1].type == "transcript.text.done"
