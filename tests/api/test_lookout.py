"""The live picture's socket: what is told of pushed frames and sound, alerts, what is dropped, and what is refused."""

import asyncio
import base64
import io
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from api.host import Host
from api.observe import Metrics
from tests.api.conftest import Served, serve
from tests.api.fakes import open_fake_host
from tests.tools.rtsp import camera
from tests.tools.test_live import sound
from tools.catalog import Catalog, load_catalog
from tools.open import open_bench
from tools.settings import Live, Settings
from tools.vision import Detection, TextLine
from tools.vision import Image as Pixels

pytestmark = pytest.mark.anyio

SERVES = {
    "text-reading": ["blind-reader"],
    "object-detection": ["blind-detector"],
    "face-landmarks": ["blind-to-faces"],
    "speech-to-text": ["scripted-speech"],
    "voice-activity": ["loudness"],
}
BOX = (0.1, 0.1, 0.4, 0.9)


class Grey:
    """Sees as many people as the picture is bright, in tenths, and reads STOP on a bright one. Slow on purpose."""

    def __init__(self, row: Any, files: Any, device: str) -> None:
        self._seconds = float(row.options.get("seconds", 0))

    def detect(self, images: list[Pixels], threshold: float) -> list[list[Detection]]:
        import time

        time.sleep(self._seconds)
        return [[Detection("person", BOX, 0.9)] * (int(image.mean()) // 50) for image in images]

    def read(self, images: list[Pixels]) -> list[list[TextLine]]:
        return [[TextLine("STOP HERE", BOX, 0.9)] if image.mean() > 180 else [] for image in images]


def catalog(**options: float) -> Catalog:
    shipped = load_catalog()
    eyes = {"blind-reader", "blind-detector"}
    changed = {"engine": "tests.api.test_lookout:Grey", "options": options}
    rows = [row.model_copy(update=changed) if row.id in eyes else row for row in shipped.models]
    return Catalog(models=rows, profiles=shipped.profiles)


def watching(serves: dict[str, list[str]] = SERVES, **options: float) -> Any:
    @asynccontextmanager
    async def opener(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
        seen = settings.model_copy(update={"serves": serves})
        async with open_fake_host(settings, metrics) as host, open_bench(seen, catalog=catalog(**options)) as bench:
            yield replace(host, bench=replace(bench, parts={**bench.parts, **host.bench.parts}))

    return opener


@pytest.fixture(scope="module")
async def eyes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    home = tmp_path_factory.mktemp("eyes") / "home"
    async with serve(Settings(home=home, offline=True, _env_file=None), watching()) as served:
        yield served


def address(served: Served) -> str:
    return served.url.replace("http", "ws") + "/api/v1/video/stream-analysis"


def frame(grey: int, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (160, 96), (grey, grey, grey)).save(file, kind)
    return file.getvalue()


def message(kind: bytes, at: float, data: bytes) -> bytes:
    return struct.pack(">cd", kind, at) + data


async def start(socket: ClientConnection, **more: Any) -> dict[str, Any]:
    await socket.send(json.dumps({"type": "start", **more}))
    ready: dict[str, Any] = json.loads(await socket.recv())
    return ready


async def told(socket: ClientConnection) -> list[dict[str, Any]]:
    messages = list[dict[str, Any]]()
    try:
        async with asyncio.timeout(20):
            async for text in socket:
                messages.append(json.loads(text))
    except ConnectionClosed:
        pass
    return messages


async def push(socket: ClientConnection, greys: list[int], *, step: float = 0.5, pause: float = 0.03) -> None:
    for number, grey in enumerate(greys):
        await socket.send(message(b"F", number * step, frame(grey)))
        await asyncio.sleep(pause)
    await socket.send('{"type": "finish"}')


async def test_frames_are_observed_and_conditions_are_told_once(eyes: Served) -> None:
    alerts = ["a person enters", "more than 3 people", "the text STOP appears", "it gets dark", "a man falls"]
    async with connect(address(eyes)) as socket:
        ready = await start(socket, alerts=alerts)
        await push(socket, [20, 20, 20, 70, 70, 70, 220, 220, 220, 70, 70, 20, 20, 20])
        messages = await told(socket)
        assert socket.close_code == 1000
    assert [each["state"] for each in ready["alerts"]] == ["watched"] * 4 + ["not watched"]
    assert ready["alerts"][4]["why"].startswith("not installed: ")
    assert "sutradhar models fetch" in ready["alerts"][4]["why"]
    seen = [each for each in messages if each["type"] == "observation" and not each["reading"]]
    done = messages[-1]
    assert (done["type"], done["looked"], done["frames"]) == ("done", len(seen), 14)
    assert seen[0]["motion"] is None
    bright = next(each for each in seen if each["brightness"] > 0.8)
    assert len(bright["objects"]) == 4
    read = next(each for each in messages if each.get("reading") and each["lines"])
    assert (read["at"], read["lines"][0]["text"]) == (3.0, "STOP HERE")
    fired = [(each["condition"], each["at"]) for each in messages if each["type"] == "alert"]
    assert sorted(fired) == sorted(
        [
            ("a person enters", 2.0),
            ("a person enters", 3.5),
            ("more than 3 people", 3.5),
            ("the text STOP appears", 3.0),
            ("it gets dark", 6.0),
        ]
    )
    alert = next(each for each in messages if each["type"] == "alert")
    data = base64.b64decode(alert["image"].removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(data)).size == (160, 96)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_other_formats_and_one_frame_that_is_none(eyes: Served, kind: str) -> None:
    async with connect(address(eyes)) as socket:
        await start(socket)
        await socket.send(message(b"F", 0.0, frame(200, kind)))
        await asyncio.sleep(0.2)
        await socket.send(message(b"F", 1.0, b"GIF89a no frame"))
        await asyncio.sleep(0.2)
        await socket.send('{"type": "finish"}')
        messages = await told(socket)
    assert [each["type"] for each in messages] == ["observation", "observation", "dropped", "done"]
    assert [each.get("reading") for each in messages[:2]] == [False, True]
    assert "JPEG, PNG or WebP" in messages[2]["why"]
    assert messages[3]["unreadable"] == 1


async def test_the_newest_frame_wins_and_drops_are_told(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", offline=True, _env_file=None)
    async with serve(settings, watching(seconds=0.4)) as served, connect(address(served)) as socket:
        await start(socket, senses=["objects"])
        await push(socket, [20, 200] * 20, step=0.05, pause=0.02)
        messages = await told(socket)
    done = messages[-1]
    assert done["frames"] == 40
    assert done["dropped"] == 40 - done["looked"] > 20
    assert sum(each["frames"] for each in messages if each["type"] == "dropped") == done["dropped"]
    seen = [each["at"] for each in messages if each["type"] == "observation"]
    assert seen == sorted(seen)
    # the last frame is the newest of all
    assert seen[-1] == pytest.approx(39 * 0.05)


async def test_sound_is_written_down_and_words_are_alerts(eyes: Served) -> None:
    audio = (sound((0.5, 0), (3.7, 0.3), (1, 0)) * 32_767).astype("<i2")
    async with connect(address(eyes)) as socket:
        ready = await start(socket, alerts=["somebody says brown fox", "somebody says fire"], sound=True, language="en")
        assert ready["sound"] is True
        await socket.send(message(b"F", 9.5, frame(70)))
        for first in range(0, len(audio), 4_000):
            await socket.send(message(b"S", 10 + first / 16_000, audio[first : first + 4_000].tobytes()))
            await asyncio.sleep(0.005)
        await socket.send('{"type": "finish"}')
        messages = await told(socket)
    finals = [each for each in messages if each["type"] == "transcript" and each["final"]]
    assert [each["text"] for each in finals] == ["The quick brown fox jumps over the lazy dog."]
    assert finals[0]["start"] == pytest.approx(10.5, abs=0.2)
    fired = [each for each in messages if each["type"] == "alert"]
    assert [each["condition"] for each in fired] == ["somebody says brown fox"]
    assert fired[0]["image"].startswith("data:image/jpeg")
    assert messages[-1]["seconds_heard"] == pytest.approx(5.2, abs=0.01)


async def test_a_condition_that_needs_a_model_is_asked_of_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", offline=True, _env_file=None)
    seeing = SERVES | {"vision-language": ["scripted-seer"]}
    shipped = catalog()
    rows = [
        row.model_copy(update={"options": {"answer": "Yes, it does."}}) if row.id == "scripted-seer" else row
        for row in shipped.models
    ]

    @asynccontextmanager
    async def opener(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
        seen = settings.model_copy(update={"serves": seeing})
        asked = Catalog(models=rows, profiles=shipped.profiles)
        async with open_fake_host(settings, metrics) as host, open_bench(seen, catalog=asked) as bench:
            yield replace(host, bench=replace(bench, parts={**bench.parts, **host.bench.parts}))

    async with serve(settings, opener) as served, connect(address(served)) as socket:
        ready = await start(socket, alerts=["a man falls"])
        assert ready["alerts"][0]["state"] == "watched"
        for number in range(20):
            await socket.send(message(b"F", float(number), frame(70)))
            await asyncio.sleep(0.15)
        await socket.send('{"type": "finish"}')
        messages = await told(socket)
    assert [each["condition"] for each in messages if each["type"] == "alert"] == ["a man falls"]


async def test_a_stream_too_many_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", offline=True, live=Live(streams=1), _env_file=None)
    async with serve(settings, watching()) as served:
        async with connect(address(served)) as socket:
            assert (await start(socket))["type"] == "ready"
            async with connect(address(served)) as second:
                refused = await start(second)
                assert refused["error"]["code"] == "busy"
                assert refused["error"]["retry_after"] == 10
                await second.wait_closed()
                assert second.close_code == 1013
                assert "Try again in 10 s" in (second.close_reason or "")
        async with connect(address(served)) as third:
            assert (await start(third))["type"] == "ready"


BAD: list[tuple[list[str | bytes], str]] = [
    (['{"type": "start", "alerts": [""]}'], "invalid_input"),
    (['{"type": "start", "senses": ["smell"]}'], "invalid_input"),
    ([b"Fxxxxxxxxx"], "invalid_input"),
    (['{"type": "start"}', b"F"], "invalid_input"),
    (['{"type": "start"}', message(b"X", 0.0, b"x")], "invalid_input"),
    (['{"type": "start"}', message(b"F", float("nan"), frame(9))], "invalid_input"),
    (['{"type": "start"}', message(b"F", 2.0, frame(9)), message(b"F", 1.0, frame(9))], "invalid_input"),
    (['{"type": "start"}', message(b"S", 0.0, b"\0\0")], "invalid_input"),
    (['{"type": "start"}', '{"type": "dance"}'], "invalid_input"),
    (['{"type": "start"}', message(b"F", 0.0, b"\xff" * 8_100_000)], "too_large"),
    (['{"type": "start", "url": "rtsp://127.0.0.1:9/x"}'], "forbidden"),
    (['{"type": "start", "url": "file:///etc/passwd"}'], "invalid_input"),
]


@pytest.mark.parametrize(("sent", "code"), BAD)
async def test_mistakes_are_told(eyes: Served, sent: list[str | bytes], code: str) -> None:
    async with connect(address(eyes)) as socket:
        for each in sent:
            await socket.send(each)
        messages = await told(socket)
    assert messages[-1]["type"] == "error"
    assert messages[-1]["error"]["code"] == code
    assert socket.close_code in (1008, 1009)


async def test_an_address_that_nobody_listed_names_the_setting(eyes: Served) -> None:
    async with connect(address(eyes)) as socket:
        refused = await start(socket, url="rtsp://camera.lan/door")
    assert refused["error"]["remedy"].endswith("""SUTRADHAR_LIVE__ALLOW='["rtsp://camera.lan:554/*"]'.""")


async def test_an_address_of_the_owners_is_watched(tmp_path: Path) -> None:
    async with camera(100) as url:
        live = Live(allow=[f"{url.removesuffix('door')}*"])
        settings = Settings(home=tmp_path / "home", offline=True, live=live, _env_file=None)
        async with serve(settings, watching()) as served, connect(address(served)) as socket:
            ready = await start(socket, url=url, fps=5, alerts=["something moves"])
            messages = await told(socket)
    assert (ready["type"], ready["url"]) == ("ready", True)
    seen = [each for each in messages if each["type"] == "observation" and not each["reading"]]
    assert len(seen) >= 3
    assert [each["condition"] for each in messages if each["type"] == "alert"] == ["something moves"]
    assert messages[-1]["type"] == "done"
    assert messages[-1]["looked"] + messages[-1]["dropped"] == messages[-1]["frames"]
