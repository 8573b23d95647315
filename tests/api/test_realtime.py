"""OpenAI's Realtime transcription events with OpenAI's own client. Scripted ears; one real recording."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.api.conftest import KEYS, Served, serve
from tests.api.test_listen import hearing
from tests.bench.speech import JFK
from tests.evals.words import word_errors
from tests.tools.test_live import SAID, sound
from tools.catalog import load_catalog
from tools.settings import Server, Settings
from tools.store import WeightStore

pytestmark = pytest.mark.anyio

HEARD = "conversation.item.input_audio_transcription"


@pytest.fixture(scope="module")
async def ears(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    home = tmp_path_factory.mktemp("realtime") / "home"
    async with serve(Settings(home=home, offline=True, _env_file=None), hearing()) as served:
        yield served


def client(served: Served, key: str = "none") -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{served.url}/v1", api_key=key)


def connect(served: Served, key: str = "none") -> Any:
    return client(served, key).realtime.connect(extra_query={"intent": "transcription"})


def at_24khz(audio: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    frame = av.AudioFrame.from_ndarray(audio[None], format="flt", layout="mono")
    frame.sample_rate = 16_000
    resampler = av.AudioResampler(format="s16", layout="mono", rate=24_000)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([each.to_ndarray().reshape(-1) for each in frames]).tobytes()


TALK = at_24khz(sound((0.5, 0), (3.7, 0.3), (1, 0), (3.7, 0.3), (1, 0)))


async def say(connection: AsyncRealtimeConnection, data: bytes, pause: float = 0.005) -> None:
    for first in range(0, len(data), 9_600):
        await connection.input_audio_buffer.append(audio=base64.b64encode(data[first : first + 9_600]).decode())
        await asyncio.sleep(pause)


async def until(connection: AsyncRealtimeConnection, kind: str, times: int = 1) -> list[Any]:
    told: list[Any] = []
    while sum(each.type == kind for each in told) < times:
        told.append(await asyncio.wait_for(connection.recv(), 60))
        assert told[-1].type != "error" or kind == "error", told[-1]
    return told


async def test_turns_become_items(ears: Served) -> None:
    async with connect(ears) as connection:
        assert (await connection.recv()).type == "session.created"
        await connection.session.update(
            session={
                "type": "transcription",
                "audio": {"input": {"transcription": {"model": "whisper-1", "language": "en"}}},
            }
        )
        updated = await connection.recv()
        assert updated.type == "session.updated"
        assert updated.session.audio.input.transcription.language == "en"
        assert updated.session.audio.input.turn_detection.type == "server_vad"
        await say(connection, TALK)
        told = await until(connection, f"{HEARD}.completed", 2)
    kinds = [each.type for each in told if not each.type.endswith("delta")]
    turn = [
        *(f"input_audio_buffer.{each}" for each in ("speech_started", "speech_stopped", "committed")),
        f"{HEARD}.completed",
    ]
    assert kinds == turn * 2
    done = [each for each in told if each.type == f"{HEARD}.completed"]
    assert [each.transcript for each in done] == [SAID, SAID]
    assert done[0].item_id != done[1].item_id
    assert done[0].usage.type == "duration"
    for each in done:
        parts = [event.delta for event in told if event.type == f"{HEARD}.delta" and event.item_id == each.item_id]
        assert len(parts) > 1
        assert "".join(parts) == each.transcript
    starts = [each.audio_start_ms for each in told if each.type == "input_audio_buffer.speech_started"]
    assert [round(each / 1000) for each in starts] == [0, 5]
    assert [each.previous_item_id for each in told if each.type == "input_audio_buffer.committed"] == [
        None,
        done[0].item_id,
    ]


async def test_without_turn_detection_the_caller_commits(ears: Served) -> None:
    async with connect(ears) as connection:
        await connection.recv()
        await connection.session.update(session={"type": "transcription", "audio": {"input": {"turn_detection": None}}})
        assert (await connection.recv()).session.audio.input.turn_detection is None
        await say(connection, TALK)
        await connection.input_audio_buffer.commit()
        told = await until(connection, f"{HEARD}.completed")
        assert told[-1].transcript == f"{SAID} {SAID}"
        assert not any("speech" in each.type for each in told)
        # cleared sound is not heard, and the next commit has only what came after
        await say(connection, TALK)
        await connection.input_audio_buffer.clear()
        await until(connection, "input_audio_buffer.cleared")
        await say(connection, TALK[: len(TALK) // 2])
        await connection.input_audio_buffer.commit()
        told = await until(connection, f"{HEARD}.completed")
        assert told[-1].transcript == SAID


async def test_the_betas_update_is_understood(ears: Served) -> None:
    async with connect(ears) as connection:
        await connection.recv()
        session = {
            "input_audio_format": "pcm16",
            "turn_detection": None,
            "input_audio_transcription": {"language": "hi"},
        }
        await connection.send({"type": "transcription_session.update", "session": session})
        told = await connection.recv()
        assert told.type == "transcription_session.updated"


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({"type": "response.create"}, "no event"),
        ({"type": "input_audio_buffer.append", "audio": "&&"}, "base64"),
        ({"type": "input_audio_buffer.append", "audio": "AAAA"}, "whole number"),
        ({"type": "input_audio_buffer.append"}, "audio"),
        ({"type": "input_audio_buffer.commit"}, "no sound"),
        ({"type": "session.update"}, "session"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "transcription"),
        ({"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}}, "audio/pcm"),
        ({"type": "session.update", "session": {"audio": {"input": {"transcription": {"language": "xx"}}}}}, "xx"),
        ({"type": "transcription_session.update", "session": {"input_audio_format": "g711_ulaw"}}, "g711"),
    ],
)
async def test_a_wrong_event_is_answered_and_the_conversation_goes_on(
    ears: Served, event: dict[str, Any], why: str
) -> None:
    async with connect(ears) as connection:
        await connection.recv()
        await connection.send({**event, "event_id": "mine"})
        told = await connection.recv()
        assert told.type == "error"
        assert why in told.error.message
        assert told.error.event_id == "mine"
        await connection.input_audio_buffer.clear()
        assert (await connection.recv()).type == "input_audio_buffer.cleared"


async def test_only_transcription_is_done(ears: Served) -> None:
    async with client(ears).realtime.connect(model="gpt-realtime") as connection:
        told = await connection.recv()
        assert told.type == "error"
        assert "intent=transcription" in told.error.message
        with pytest.raises(ConnectionClosed):
            await connection.recv()


async def test_a_key_is_needed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", offline=True, server=Server(keys=KEYS), _env_file=None)
    async with serve(settings, hearing()) as served:
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            async with connect(served, "wrong") as connection:
                await connection.recv()
        async with connect(served, KEYS["team-a"].get_secret_value()) as connection:
            assert (await connection.recv()).type == "session.created"


async def test_who_leaves_frees_the_seat(ears: Served) -> None:
    async with connect(ears) as connection:
        await connection.recv()
        await say(connection, TALK[:48_000])
        desk = ears.app.state.host.desk
        assert desk.lines["scripted-speech"].streams == 1
    async with asyncio.timeout(5):
        while desk.lines["scripted-speech"].streams:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.weights
async def test_a_real_recording(tmp_path: Path, data: Path) -> None:
    store, shipped = WeightStore(Settings().cache, offline=True), load_catalog()
    if any(store.missing(shipped.row(row)) for row in ("whisper-base", "silero-vad")):
        pytest.skip("needs the default models: run `sutradhar models fetch`")
    from tools.media.reader import read_pcm

    settings = Settings(home=tmp_path / "home", offline=True, _env_file=None)
    audio = await read_pcm(data / "speech" / "jfk.flac", settings.limits)
    async with serve(settings, hearing(serves={})) as served, connect(served) as connection:
        await connection.recv()
        await say(connection, at_24khz(audio), pause=0.1)
        await connection.input_audio_buffer.commit()
        told = []
        with suppress(TimeoutError):
            while True:
                told.append(await asyncio.wait_for(connection.recv(), 15))
    said = " ".join(each.transcript for each in told if each.type == f"{HEARD}.completed")
    # a turn is cut by the times that Whisper gives words; on a busy machine two of them have been heard on both sides
    assert word_errors(JFK, said) <= 0.1
