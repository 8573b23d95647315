"""The live socket: our messages, WhisperLive's, and what is refused. Scripted ears."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from api.host import Host
from api.observe import Metrics
from tests.api.conftest import KEYS, Served, serve
from tests.api.fakes import open_fake_host
from tests.bench.speech import JFK
from tests.evals.words import word_errors
from tests.tools.test_live import EARS, SAID, catalog, sound
from tools.catalog import load_catalog
from tools.media.reader import read_pcm
from tools.open import open_bench
from tools.settings import Server, Settings
from tools.store import WeightStore

pytestmark = pytest.mark.anyio


def hearing(serves: dict[str, list[str]] = EARS, **options: float) -> Any:
    """Opens a host of fakes whose bench has scripted ears that take their time."""

    @asynccontextmanager
    async def opener(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
        heard = settings.model_copy(update={"serves": serves})
        async with open_fake_host(settings, metrics) as host, open_bench(heard, catalog=catalog(**options)) as bench:
            yield replace(host, bench=replace(bench, parts=host.bench.parts))

    return opener


@pytest.fixture(scope="module")
async def ears(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    home = tmp_path_factory.mktemp("ears") / "home"
    async with serve(Settings(home=home, offline=True, _env_file=None), hearing()) as served:
        yield served


def address(served: Served, path: str = "/api/v1/stt/stream") -> str:
    return served.url.replace("http", "ws") + path


async def talk(socket: ClientConnection, *, kind: str = "<i2") -> None:
    audio = sound((0.5, 0), (3.7, 0.3), (1, 0), (3.7, 0.3), (0.3, 0))
    data = audio if kind == "<f4" else audio * 32_767
    for first in range(0, len(data), 4_000):
        await socket.send(data[first : first + 4_000].astype(kind).tobytes())
        await asyncio.sleep(0.005)


async def told(socket: ClientConnection) -> list[dict[str, Any]]:
    messages = list[dict[str, Any]]()
    try:
        async for message in socket:
            messages.append(json.loads(message))
    except ConnectionClosed:
        pass
    return messages


async def test_our_own_words(ears: Served) -> None:
    async with connect(address(ears)) as socket:
        await socket.send(json.dumps({"type": "start", "language": "en"}))
        await talk(socket)
        await socket.send(json.dumps({"type": "finish"}))
        messages = await told(socket)
        assert socket.close_code == 1000
    kinds = [each["type"] for each in messages]
    assert (kinds[0], kinds[-1]) == ("ready", "done")
    assert messages[0]["model"] == "scripted-speech"
    assert messages[-1]["seconds"] == 9.2
    assert [each["text"] for each in messages if each["type"] == "final"] == [SAID, SAID]
    assert all(each["text"].startswith(each["stable"]) for each in messages if each["type"] == "partial")
    assert [each["state"] for each in messages if each["type"] == "turn"] == ["started", "ended"] * 2


def recorded(kind: str) -> bytes:
    """Opus as a browser records it."""
    audio = sound((0.5, 0), (3.7, 0.3), (1, 0))
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream("libopus", rate=48_000)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000)
        frame = av.AudioFrame.from_ndarray((audio * 32_767).astype("<i2")[None], format="s16", layout="mono")
        frame.rate = 16_000
        for each in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(each))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["webm", "ogg"])
async def test_opus_as_a_browser_records_it(ears: Served, kind: str) -> None:
    data = recorded(kind)
    async with connect(address(ears)) as socket:
        await socket.send(json.dumps({"type": "start", "format": kind, "language": "en"}))
        for first in range(0, len(data), 2_000):
            await socket.send(data[first : first + 2_000])
        await socket.send('{"type": "finish"}')
        messages = await told(socket)
    assert [each["text"] for each in messages if each["type"] == "final"] == [SAID]
    assert messages[-1]["seconds"] == pytest.approx(5.2, abs=0.1)


async def test_a_recording_that_is_none_is_refused(ears: Served) -> None:
    async with connect(address(ears)) as socket:
        await socket.send('{"type": "start", "format": "webm"}')
        await socket.send(b"no recording at all " * 999)
        messages = await told(socket)
    assert messages[-1]["error"]["code"] == "unsupported_media"
    assert socket.close_code == 1008


@pytest.mark.parametrize("path", ["/", "/api/v1/stt/stream"])
async def test_whisperlives_words(ears: Served, path: str) -> None:
    async with connect(address(ears, path)) as socket:
        start = {"uid": "me", "language": None, "task": "transcribe", "model": "small", "use_vad": True}
        await socket.send(json.dumps({**start, "max_clients": 4, "max_connection_time": 600}))
        assert json.loads(await socket.recv()) == {"uid": "me", "message": "SERVER_READY", "backend": "faster_whisper"}
        await talk(socket, kind="<f4")
        await socket.send(b"END_OF_AUDIO")
        messages = await told(socket)
    assert {each["uid"] for each in messages} == {"me"}
    assert [each["language"] for each in messages if "language" in each] == ["en"]
    segments = messages[-1]["segments"]
    assert [(each["text"].strip(), each["completed"]) for each in segments] == [(SAID, True), (SAID, True)]
    assert [round(float(each["start"])) for each in segments] == [0, 5]


@pytest.mark.parametrize(
    ("sent", "code", "why"),
    [
        ('{"type": "start", "language": "xx"}', 1008, "language 'xx'"),
        ('{"type": "start", "speed": 2}', 1008, "speed"),
        ("no json", 1008, "JSON object"),
        (b"abc", 1008, "3 bytes"),
        (b"\0" * 1_000_002, 1009, "too large"),
    ],
)
async def test_bad_messages_are_refused(ears: Served, sent: str | bytes, code: int, why: str) -> None:
    async with connect(address(ears)) as socket:
        await socket.send(sent)
        messages = await told(socket)
    assert why in messages[-1]["error"]["message"]
    assert socket.close_code == code


async def test_a_stream_too_many_closes_with_1013_and_the_others_go_on(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", offline=True, _env_file=None)
    async with (
        serve(settings, hearing(sound_seconds=0.6)) as served,
        connect(address(served)) as one,
        connect(address(served)) as two,
        connect(address(served)) as third,
    ):
        for each in (one, two):
            await each.send('{"type": "start", "language": "en"}')
            assert json.loads(await each.recv())["type"] == "ready"
        await third.send('{"type": "start", "language": "en"}')
        (refused,) = await told(third)
        assert (refused["error"]["code"], refused["error"]["retry_after"]) == ("busy", 10)
        assert third.close_code == 1013
        assert "Try again in 10 s" in (third.close_reason or "")
        await talk(one)
        await one.send('{"type": "finish"}')
        assert [each["text"] for each in await told(one) if each["type"] == "final"] == [SAID, SAID]


async def test_a_caller_who_leaves_frees_the_place(ears: Served) -> None:
    desk = ears.app.state.host.desk
    async with connect(address(ears)) as socket:
        await socket.send('{"type": "start", "language": "en"}')
        await socket.recv()
        await socket.send(bytes(32_000))
        assert desk.lines["scripted-speech"].streams == 1
        assert ears.app.state.host.streams.open == 1
    async with asyncio.timeout(10):
        while desk.lines["scripted-speech"].streams or ears.app.state.host.streams.open:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_key_is_needed_where_there_are_keys(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", offline=True, server=Server(keys=KEYS), _env_file=None)
    async with serve(settings, hearing()) as served:
        with pytest.raises(Exception, match=r"403|1008"):
            async with connect(address(served)) as socket:
                await socket.recv()
        key = {"Authorization": f"Bearer {KEYS['team-a'].get_secret_value()}"}
        async with connect(address(served), additional_headers=key) as socket:
            await socket.send('{"type": "start"}')
            assert json.loads(await socket.recv())["type"] == "ready"


async def streamed(served: Served, audio: Any, *, speed: float) -> list[tuple[float, dict[str, Any]]]:
    """The messages to a recording that is sent at this many times real time, each with when it came."""
    loop, came = asyncio.get_running_loop(), list[tuple[float, dict[str, Any]]]()
    async with connect(address(served)) as socket:
        await socket.send('{"type": "start", "language": "auto"}')
        await socket.recv()
        began = loop.time()

        async def feed() -> None:
            for first in range(0, len(audio), 1_600):
                await asyncio.sleep(max(0.0, began + first / 16_000 / speed - loop.time()))
                await socket.send((audio[first : first + 1_600] * 32_767).astype("<i2").tobytes())
            await socket.send('{"type": "finish"}')

        feeding = asyncio.create_task(feed())
        async for message in socket:
            came.append((loop.time() - began, json.loads(message)))
        await feeding
    return came


@pytest.mark.weights
async def test_a_real_recording_at_twice_real_time(tmp_path: Path, data: Path) -> None:
    store, shipped = WeightStore(Settings().cache, offline=True), load_catalog()
    if any(store.missing(shipped.row(row)) for row in ("whisper-base", "silero-vad")):
        pytest.skip("needs the default models: run `sutradhar models fetch`")
    settings = Settings(home=tmp_path / "home", offline=True, _env_file=None)
    audio = await read_pcm(data / "speech" / "jfk.flac", settings.limits)
    async with serve(settings, hearing(serves={})) as served:
        came = await streamed(served, audio, speed=2.0)
    finals = " ".join(each["text"] for _, each in came if each["type"] == "final")
    assert word_errors(JFK, finals) == 0
    assert next(each["language"] for _, each in came if each["type"] == "final") == "en"
    # the first text comes while the recording still runs
    first = next(second for second, each in came if each["type"] == "partial")
    assert first < len(audio) / 16_000 / 2
