"""The doors to knowledge: an answer with what it shows, the socket, and several kinds of material analysed together."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from websockets.asyncio.client import ClientConnection, connect

from api.host import Host
from api.observe import Metrics
from graphs.events import AGENT_EVENT
from graphs.temporal.state import Options
from knowledge.library import LIBRARY, SourceChange
from tests.api.conftest import Served, serve
from tests.api.fakes import open_fake_host
from tests.graphs.temporal_home import SHA, segment, spoken, temporal
from tests.tools.films import film
from tools.open import open_bench
from tools.settings import Settings

pytestmark = pytest.mark.anyio

MEMORIES = [
    spoken("The mirror unfolded in the clean room at Goddard.", 12.0, 15.0),
    spoken("The sunshield has five layers of kapton.", 40.0, 44.0),
    segment("screen_text", "Goddard clean room", start=13.0, end=14.0, image=f"{SHA}/frames/13.000.jpg"),
]
BLIND = {
    "text-reading": ["blind-reader"],
    "object-detection": ["blind-detector"],
    "face-landmarks": ["blind-to-faces"],
    "speech-to-text": ["scripted-speech"],
    "voice-activity": ["loudness"],
}


@asynccontextmanager
async def remembering(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
    """A host of fakes whose temporal agent has three memories and no model to write with."""
    async with open_fake_host(settings, metrics) as host, temporal(settings, MEMORIES, reranks=False) as runs:
        library = host.bench.part(LIBRARY)
        await library.put("local", "kb", SHA, SourceChange(name="tour.mp4", kind="video", state="ready"))
        yield replace(host, runs=runs)


@asynccontextmanager
async def looking(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
    """A host whose eyes see nothing and whose ears hear a script."""
    seen = settings.model_copy(update={"serves": BLIND})
    async with open_fake_host(settings, metrics) as host, open_bench(seen) as bench:
        yield replace(host, bench=replace(bench, parts={**bench.parts, **host.bench.parts}))


@pytest.fixture(scope="module")
async def memory(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    home = tmp_path_factory.mktemp("rag") / "home"
    async with serve(Settings(home=home, offline=True, _env_file=None), remembering) as served:
        yield served


@pytest.fixture(scope="module")
async def eyes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    home = tmp_path_factory.mktemp("eyes") / "home"
    async with serve(Settings(home=home, offline=True, _env_file=None), looking) as served:
        yield served


async def generated(served: Served, query: str, **more: Any) -> dict[str, Any]:
    async with served.client() as client:
        answer = await client.post("/api/v1/rag/generate", json={"query": query, "knowledge_base": "kb", **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_answer_cites_its_moments_and_links_to_them(memory: Served) -> None:
    query = "When is the clean room at Goddard mentioned?"
    text = await generated(memory, query)
    assert text["status"] == "done"
    assert text["answer"]["citations"][0]["start"] == 12.0
    assert text["shown"] == []
    video = await generated(memory, query, modality="video")
    assert video["shown"][0]["media"] == f"/api/v1/media/{SHA}#t=12.000,15.000"
    image = await generated(memory, "When does «Goddard clean room» appear on the screen?", modality="image")
    frames = [each["frame"] for each in image["shown"]]
    assert f"/api/v1/media/{SHA}/frames/13.000.jpg" in frames
    # the medium behind these memories is not there, so what was only heard has no frame, and that is said
    assert all(each["frame"] for each in image["shown"])


async def test_times_are_conditions_only_with_temporal_context(memory: Served) -> None:
    query = "When is the sunshield mentioned in the first 20 seconds?"
    assert (await generated(memory, query))["answer"]["citations"][:1] != [40.0]
    narrowed = await generated(memory, query)
    assert all(each["start"] < 20 for each in narrowed["answer"]["citations"])
    free = await generated(memory, query, temporal_context=False)
    assert [each["start"] for each in free["answer"]["citations"]] == [40.0]


@pytest.mark.parametrize(
    ("wrong", "status", "param"),
    [
        ({"knowledge_base": "nobody"}, 404, "knowledge_base"),
        ({"modality": "smell"}, 422, "modality"),
        ({"query": ""}, 422, "query"),
        ({"other": 1}, 422, "other"),
    ],
)
async def test_a_wrong_question_is_refused(memory: Served, wrong: dict[str, Any], status: int, param: str) -> None:
    async with memory.client() as client:
        answer = await client.post("/api/v1/rag/generate", json={"query": "q", "knowledge_base": "kb", **wrong})
    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param


WRONG = ("{", '{"type": "dance"}', '{"type": "cancel", "run": "x"}', '{"type": "resume", "last_event_id": ""}')


def address(served: Served) -> str:
    return served.url.replace("http", "ws") + "/api/v1/rag/stream"


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def until(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Messages up to the first of this type."""
    told = list[dict[str, Any]]()
    async with asyncio.timeout(20):
        while not told or told[-1]["type"] != kind:
            told.append(json.loads(await socket.recv()))
    return told


def events(told: list[dict[str, Any]]) -> list[str]:
    """The types of the run's own events, each of which must fit the event union."""
    found = [{**each} for each in told if "event_id" in each]
    for each in found:
        del each["event_id"]
    return [AGENT_EVENT.validate_python(each).type for each in found]


async def test_the_socket_tells_a_runs_events_and_resumes_it(memory: Served) -> None:
    asked = {
        "type": "ask",
        "query": "When is Goddard mentioned?",
        "knowledge_base": "kb",
        "modality": "video",
    }
    async with connect(address(memory)) as socket:
        await say(socket, **asked, ref="a")
        told = await until(socket, "run.finished")
    assert (told[0]["type"], told[0]["ref"]) == ("accepted", "a")
    kinds = events(told)
    assert (kinds[0], kinds[-1]) == ("run.started", "run.finished")
    assert kinds.index("evidence") < kinds.index("answer")
    shown = next(each for each in told if each["type"] == "shown")
    assert shown["shown"][0]["start"] == 12.0
    numbered = [each for each in told if "event_id" in each]
    async with connect(address(memory)) as socket:
        await say(socket, type="resume", last_event_id=numbered[2]["event_id"])
        assert await until(socket, "run.finished") == numbered[3:]


async def test_mistakes_are_told_and_the_socket_goes_on(memory: Served) -> None:
    async with connect(address(memory)) as socket:
        for wrong in (
            "{",
            '{"type": "dance"}',
            '{"type": "cancel", "run": "x"}',
            '{"type": "resume", "last_event_id": ""}',
        ):
            await socket.send(wrong)
            assert (await until(socket, "error"))[-1]["error"]["code"] in ("invalid_input", "not_found")
        await say(socket, type="ask", query="q", knowledge_base="nobody", ref="b")
        refused = (await until(socket, "error"))[-1]
        assert (refused["ref"], refused["error"]["code"]) == ("b", "not_found")
        await say(socket, type="ask", query="When is Goddard mentioned?", knowledge_base="kb")
        assert (await until(socket, "run.finished"))[-1]["status"] == "done"


async def test_a_run_is_cancelled(tmp_path: Path) -> None:
    @asynccontextmanager
    async def waiting(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
        async with open_fake_host(settings, metrics) as host:
            await host.bench.part(LIBRARY).put("local", "kb", SHA, SourceChange(name="a", kind="video", state="ready"))
            host.runs.agents["temporal"] = replace(host.runs.agents["scripted"], options=Options)
            host.runs._graphs["temporal"] = host.runs._graphs["scripted"]
            yield host

    settings = Settings(home=tmp_path / "home", offline=True, _env_file=None)
    async with serve(settings, waiting) as served, connect(address(served)) as socket:
        await say(socket, type="ask", query="wait", knowledge_base="kb")
        run = (await until(socket, "step"))[0]["run"]
        await say(socket, type="cancel", run=run)
        assert (await until(socket, "run.finished"))[-1]["status"] == "cancelled"


def picture(words: str = "") -> bytes:
    image = Image.new("RGB", (320, 180), "white")
    ImageDraw.Draw(image).text((20, 20), words, fill="black")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


async def test_each_part_is_analysed_and_what_they_share_is_traced(eyes: Served, tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", frames=50, tone=2.0).read_bytes()
    files = {"image": ("a.png", picture(), "image/png"), "video": ("clip.mp4", clip, "video/mp4")}
    text = "At 00:01 Professor Ada Lovelace met a quick brown fox in Delhi. It was 12 March 2024."
    context = "Ada Lovelace wrote in 2024-03-12 about dogs."
    async with eyes.client() as client:
        answer = await client.post("/api/v1/rag/analyze", data={"text": text, "context": context}, files=files)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["text"]["language"] == "en"
    assert "Delhi" in [each["name"] for each in found["text"]["names"]]
    assert [each["kind"] for each in found["text"]["times"]] == ["moment", "date"]
    assert (found["image"]["width"], found["image"]["objects"], found["image"]["lines"]) == (320, [], [])
    assert found["image"]["missing"]["description"].startswith("not installed: ")
    assert found["video"]["complete"] is True
    assert found["video"]["duration"] == pytest.approx(2.0, abs=0.1)
    said = {(each["kind"], each["what"]): each for each in found["relations"]}
    assert said["time", "2024-03-12"]["parts"] == ["text", "context"]
    assert set(said["word", "brown"]["parts"]) == {"text", "video"}
    heard = next(each for each in said["word", "brown"]["places"] if each["part"] == "video")
    assert (heard["modality"], heard["start"]) == ("speech", pytest.approx(0, abs=0.3))
    assert any(kind == "name" and "Lovelace" in what for kind, what in said)


@pytest.mark.parametrize(
    ("data", "files", "status"),
    [
        ({}, {"other": ("a.png", b"x")}, 422),
        ({"text": "  "}, {}, 422),
        ({}, {"image": ("a.png", b"no image")}, 415),
        ({}, {"video": ("a.mp4", b"no video" * 999)}, 415),
        ({}, {"video": ("a.mp4", b"\0\0\0\x18ftypmp42" + b"\0" * 5000)}, 415),
    ],
)
async def test_bad_material_is_refused(eyes: Served, data: dict[str, str], files: dict[str, Any], status: int) -> None:
    async with eyes.client() as client:
        sent = files or {"image": ("", b"")}
        answer = await client.post("/api/v1/rag/analyze", data=data, files=sent)
    assert answer.status_code == status, answer.text


async def test_parameters_are_the_owners(open_door: Served) -> None:
    async with open_door.client() as client:
        schema = (await client.get("/openapi.json")).json()
    body = schema["paths"]["/api/v1/rag/generate"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    model = schema["components"]["schemas"][body["$ref"].split("/")[-1]]["properties"]
    assert {name: each.get("default") for name, each in model.items()} == {
        "query": None,
        "knowledge_base": None,
        "modality": "text",
        "temporal_context": True,
    }
