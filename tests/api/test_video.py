"""The video endpoints over real HTTP: a real small film goes in, a watching made by hand looks at it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from api.jobs import wait_of
from knowledge.library import LIBRARY, SourceChange
from tests.api.conftest import KEYS, Served, serve
from tests.api.video_home import opener_of
from tests.graphs.video_home import TOUR, Scripted
from tests.tools.films import film, wav
from tools.errors import InvalidInput
from tools.settings import Limits, Server, Settings

pytestmark = pytest.mark.anyio

DOORS = ("analyze", "describe", "summarize", "generate-content")


@asynccontextmanager
async def video_host(settings: Settings, watch: Scripted) -> AsyncIterator[Served]:
    async with serve(settings, opener_of(watch)) as served:
        yield served


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return film(tmp_path_factory.mktemp("film") / "tour.mp4", frames=25).read_bytes()


@pytest.fixture
async def served(settings: Settings) -> AsyncIterator[Served]:
    async with video_host(settings, Scripted([TOUR])) as served:
        yield served


async def send(client: httpx.AsyncClient, door: str, data: bytes, name: str = "tour.mp4", **fields: Any) -> Any:
    headers = fields.pop("headers", {})
    files = {"video_file": (name, data, "video/mp4")}
    return await client.post(f"/api/v1/video/{door}", files=files, data=fields, headers=headers)


def kept(served: Served) -> list[Path]:
    """The media that the host's store holds."""
    return [*served.app.state.host.settings.home.rglob("blob")]


async def test_short_work_is_the_answer(served: Served, tour: bytes) -> None:
    async with served.client() as client:
        answer = await send(client, "describe", tour, detail_level="high")
        assert answer.status_code == 200, answer.text
        job = answer.json()
        assert (job["status"], job["answer"]["result"]["task"]) == ("done", "describe")
        assert "Two people are in view." in job["answer"]["text"]
        again = (await client.get(job["links"]["job"])).json()
        assert again["answer"] == job["answer"]
        files = {each["name"]: each["media"] for each in job["answer"]["artefacts"]}
        subtitles = await client.get(f"/api/v1/media/{files['tour.srt']}")
        own = await client.get(f"/api/v1/media/{job['answer']['result']['media']}")
    assert b"coated with gold" in subtitles.content
    assert own.content == tour


async def test_an_upload_is_listed_and_forgotten(served: Served, tour: bytes) -> None:
    async with served.client() as client:
        job = (await send(client, "generate-content", tour, content_type="subtitles")).json()
        sha = job["answer"]["result"]["media"]
        listed = {each["name"]: each for each in (await client.get("/api/v1/media")).json()}
        assert listed["tour.mp4"] == {"sha256": sha, "name": "tour.mp4", "size": len(tour)}
        made = [each["media"] for each in job["answer"]["artefacts"]]
        assert {each["sha256"] for each in listed.values()} == {sha, *made}
        assert (await client.delete(f"/api/v1/media/{sha}")).json() == {"deleted": True}
        assert not any(path.read_bytes() == tour for path in kept(served))
        for gone in (await client.get(f"/api/v1/media/{sha}"), await client.delete(f"/api/v1/media/{sha}")):
            assert gone.status_code == 404
        assert (await client.get(f"/api/v1/media/{made[0]}")).status_code == 200
        assert sha not in {each["sha256"] for each in (await client.get("/api/v1/media")).json()}


async def test_what_is_forgotten_is_watched_no_longer(settings: Settings, tour: bytes) -> None:
    watch = Scripted([TOUR, TOUR], delay=2.0, pictures=True)
    async with video_host(settings, watch) as served, served.client() as client:
        job = (await send(client, "describe", tour, headers={"Prefer": "respond-async"})).json()
        await watch.begun.wait()
        sha = watch.asked[0]["media"]
        assert (await client.delete(f"/api/v1/media/{sha}")).status_code == 200
        assert (await client.get(job["links"]["job"])).json()["status"] == "cancelled"
        await asyncio.sleep(2.5)
        assert not [*settings.home.rglob(f"{sha}/**/*")]


async def test_what_a_knowledge_base_has_is_forgotten_there(served: Served, tour: bytes) -> None:
    library = served.app.state.host.bench.part(LIBRARY)
    async with served.client() as client:
        sha = (await send(client, "describe", tour)).json()["answer"]["result"]["media"]
        await library.put("local", "lectures", sha, SourceChange(name="tour.mp4", state="ready"))
        refused = await client.delete(f"/api/v1/media/{sha}")
        assert refused.status_code == 409
        assert "'lectures'" in refused.json()["error"]["message"]
        assert sha not in {each["sha256"] for each in (await client.get("/api/v1/media")).json()}
        # another tenant's source keeps the bytes, not the right to them
        await library.forget("local", "lectures", sha)
        await library.put("other", "lectures", sha, SourceChange(name="tour.mp4", state="ready"))
        assert (await client.delete(f"/api/v1/media/{sha}")).status_code == 200
        assert (await client.get(f"/api/v1/media/{sha}")).status_code == 404
    assert any(path.read_bytes() == tour for path in kept(served))


@pytest.mark.parametrize(
    ("door", "fields", "told"),
    [
        ("analyze", {"analysis_type": "people", "output_format": "markdown"}, "## People"),
        ("analyze", {"output_format": "json"}, "The video lasts 30 s"),
        ("summarize", {"summary_length": "short", "focus_areas": ["gold, cups"]}, "coated with gold"),
        ("generate-content", {"content_type": "subtitles"}, "00:00:21,000 --> 00:00:25,000"),
        ("generate-content", {"content_type": "Study Notes", "target_length": "long"}, "## Key points"),
    ],
)
async def test_each_door_takes_its_parameters(
    served: Served, tour: bytes, door: str, fields: Mapping[str, Any], told: str
) -> None:
    async with served.client() as client:
        answer = await send(client, door, tour, **fields)
    assert answer.status_code == 200, answer.text
    assert told in answer.json()["answer"]["text"]


@pytest.mark.parametrize(
    ("door", "fields", "param"),
    [
        ("describe", {"detail_level": "extreme"}, "detail_level"),
        ("describe", {"summary_length": "short"}, "summary_length"),
        ("analyze", {"analysis_type": "smell"}, "analysis_type"),
        ("summarize", {"summary_length": "tiny"}, "summary_length"),
        ("generate-content", {}, "content_type"),
        ("generate-content", {"content_type": "opera"}, "content_type"),
        ("describe", {"budget": "-1"}, "budget"),
        ("describe", {"media": "no hash"}, "media"),
    ],
)
async def test_wrong_parameters_are_named_and_nothing_is_kept(
    served: Served, tour: bytes, door: str, fields: Mapping[str, Any], param: str
) -> None:
    async with served.client() as client:
        answer = await send(client, door, tour, **fields)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["param"] == param
    assert kept(served) == []


async def test_what_is_no_video_is_refused_and_not_kept(served: Served, tour: bytes) -> None:
    refused = {
        "text": (b"This is a text and no film at all. " * 200, 415),
        "nothing": (b"", 415),
        "cut off at once": (tour[:300], 415),
        "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(5_000), 415),
    }
    async with served.client() as client:
        for name, (data, status) in refused.items():
            answer = await send(client, "describe", data, name="film.mp4")
            assert (name, answer.status_code) == (name, status), answer.text
            assert answer.json()["error"]["message"]
        nothing = await client.post("/api/v1/video/describe", data={"detail_level": "low"}, files={})
        assert nothing.status_code in (400, 422)
        twice = [("video_file", ("a.mp4", tour)), ("video_file", ("b.mp4", tour))]
        assert (await client.post("/api/v1/video/describe", files=twice)).status_code == 422
    assert kept(served) == []
    async with served.client() as client:
        await send(client, "describe", tour)
    assert kept(served) != []


async def test_too_long_is_refused_before_it_is_watched(settings: Settings, tour: bytes) -> None:
    watch = Scripted([TOUR])
    strict = settings.model_copy(update={"limits": Limits(seconds=0.5)})
    async with video_host(strict, watch) as served, served.client() as client:
        answer = await send(client, "describe", tour)
    assert answer.status_code == 413, answer.text
    assert watch.asked == []


async def test_a_recording_is_told_as_far_as_it_is_heard(served: Served, settings: Settings, tmp_path: Path) -> None:
    sound = wav(tmp_path / "talk.wav", np.zeros(16_000, np.float32)).read_bytes()
    async with served.client() as client:
        answer = await send(client, "describe", sound, name="talk.wav")
    assert answer.status_code == 200, answer.text


async def test_a_stored_medium_by_its_hash(served: Served, tour: bytes) -> None:
    async with served.client() as client:
        first = (await send(client, "describe", tour)).json()["answer"]["result"]["media"]
        form = await client.post("/api/v1/video/summarize", files={"media": (None, first)})
        body = await client.post(
            "/api/v1/video/summarize", json={"media": first, "focus_areas": ["gold"], "summary_length": "short"}
        )
        both = await send(client, "summarize", tour, media=first)
        unknown = await client.post("/api/v1/video/summarize", json={"media": "0" * 64})
        broken = await client.post(
            "/api/v1/video/summarize", content=b"{", headers={"Content-Type": "application/json"}
        )
    assert (form.status_code, body.status_code) == (200, 200), body.text
    assert body.json()["answer"]["result"]["name"] == "tour.mp4"
    assert (both.status_code, unknown.status_code, broken.status_code) == (422, 404, 400)


async def test_long_work_is_a_job_that_streams(settings: Settings, tour: bytes) -> None:
    async with video_host(settings, Scripted([TOUR], delay=0.6)) as served, served.client() as client:
        accepted = await send(client, "describe", tour, headers={"Prefer": "respond-async"})
        assert accepted.status_code == 202, accepted.text
        job = accepted.json()
        assert accepted.headers["location"] == job["links"]["job"]
        assert (job["status"], job["answer"]) == ("running", None)
        assert (await client.get(job["links"]["job"])).json()["status"] == "running"
        events = await _events(client, job["links"]["events"])
        assert [each["type"] for each in events][-2:] == ["answer", "run.finished"]
        last = events[2]["id"]
        rest = await _events(client, job["links"]["events"], {"Last-Event-ID": last})
        assert rest == events[3:]
        done = (await client.get(job["links"]["job"])).json()
        assert (done["status"], done["answer"]["answered"]) == ("done", True)


async def _events(
    client: httpx.AsyncClient, path: str, headers: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    text = (await client.get(path, headers=headers)).text
    found = list[dict[str, Any]]()
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in lines:
            found.append({**json.loads(lines["data"]), "id": lines.get("id", "")})
    return found


async def test_a_stream_from_the_start(served: Served, tour: bytes) -> None:
    files = {"video_file": ("tour.mp4", tour)}
    async with served.client() as client:
        answer = await client.post("/api/v1/video/describe", files=files, data={"stream": "true"})
        accepts = await client.post("/api/v1/video/describe", files=files, headers={"Accept": "text/event-stream"})
    for each in (answer, accepts):
        assert each.headers["content-type"].startswith("text/event-stream")
        assert "event: run.started" in each.text
        assert "event: answer" in each.text
        assert each.headers["x-run-id"]


async def test_a_job_goes_on_with_the_next_host(settings: Settings, tour: bytes) -> None:
    slow = Scripted([TOUR], delay=60)
    async with video_host(settings, slow) as served, served.client() as client:
        job = (await send(client, "describe", tour, headers={"Prefer": "wait=0"})).json()
        await slow.begun.wait()
        sha = slow.asked[0]["media"]
    agent_watch = Scripted([TOUR])
    async with video_host(settings, agent_watch) as served:
        # this host's library is in memory: the medium is the tenant's again once it is said
        await served.app.state.host.bench.part(LIBRARY).own("local", sha, "tour.mp4")
        async with served.client() as client:
            events = await _events(client, job["links"]["events"])
    assert events[-1]["status"] == "done"
    assert agent_watch.asked[0]["media"] == sha


async def test_a_refused_budget_is_a_plain_error(settings: Settings, tour: bytes) -> None:
    refusal = InvalidInput("This machine needs at least 400 s per hour of video.", remedy="Raise `budget`.")
    async with video_host(settings, Scripted([], fails=refusal)) as served, served.client() as client:
        answer = await send(client, "describe", tour, budget="10")
        later = (await send(client, "describe", tour, budget="10", headers={"Prefer": "wait=0"})).json()
        await _events(client, later["links"]["events"])
        failed = (await client.get(later["links"]["job"])).json()
    assert answer.status_code == 422
    assert "400 s per hour" in answer.json()["error"]["message"]
    assert (failed["status"], "400 s per hour" in failed["reason"]) == ("failed", True)


async def test_tenants_see_neither_video_nor_job_nor_files(settings: Settings, tour: bytes) -> None:
    locked = settings.model_copy(update={"server": Server(keys=KEYS)})
    async with video_host(locked, Scripted([TOUR])) as served:
        async with served.of("team-a") as ours:
            job = (await send(ours, "describe", tour)).json()
        media = job["answer"]["result"]["media"]
        paths = [job["links"]["job"], job["links"]["events"], f"/api/v1/media/{media}"]
        paths += [f"/api/v1/media/{each['media']}" for each in job["answer"]["artefacts"]]
        async with served.of("team-b") as theirs:
            for path in paths:
                assert (await theirs.get(path)).status_code == 404, path
            stolen = await theirs.post("/api/v1/video/describe", json={"media": media})
            assert stolen.status_code == 404
        async with served.client() as nobody:
            assert (await send(nobody, "describe", tour)).status_code == 401


async def test_the_owners_parameters_are_in_the_openapi(served: Served) -> None:
    async with served.client() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    wanted: dict[str, dict[str, Any]] = {
        "analyze": {"analysis_type": "comprehensive", "output_format": "text"},
        "describe": {"detail_level": "medium", "include_objects": True, "include_actions": True},
        "summarize": {"summary_length": "medium", "focus_areas": []},
        "generate-content": {"content_type": None, "style": "professional", "target_length": "medium"},
    }
    for door in DOORS:
        body = paths[f"/api/v1/video/{door}"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
        told = {name: each.get("default") for name, each in body["properties"].items()}
        assert {name: told[name] for name in wanted[door]} == wanted[door]
        assert {"video_file", "media", "budget", "language", "stream"} <= told.keys()
    assert "content_type" in body["required"]


async def test_it_is_a_tool_too(served: Served, tour: bytes) -> None:
    async with served.client() as client:
        media = (await send(client, "describe", tour)).json()["answer"]["result"]["media"]
        asked = {"question": "Summarise it", "media": [media]}
        answer = await client.post("/api/v1/tools/video_agent", json=asked)
    assert answer.status_code == 200, answer.text
    assert answer.json()["answer"]["result"]["task"] == "summarize"


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [("", 20.0), ("wait=5", 5.0), ("respond-async", 0.0), ("respond-async, wait=10", 10.0), ("wait=99999", 600.0)],
)
def test_how_long_a_caller_waits(prefer: str, seconds: float) -> None:
    assert wait_of(prefer, 20.0) == seconds
