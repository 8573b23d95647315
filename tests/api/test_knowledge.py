"""Knowledge over HTTP: streamed uploads with limits, sources, media by byte range, and tenants that stay apart."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api import knowledge as door
from api.discovery import secret
from api.host import Host
from knowledge.library import LIBRARY, SourceChange
from knowledge.segment import Made, Segment, segment_id
from knowledge.store import STORE
from tests.api.conftest import Served, serve
from tests.api.fakes import Remembered
from tests.api.test_tools import frames
from tools.media.store import Media
from tools.settings import Limits, Server, Settings

pytestmark = pytest.mark.anyio

FILM = bytes(range(256)) * 4_096


@pytest.fixture(autouse=True)
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """What was submitted: a flow runner that takes everything and does nothing."""
    submitted = list[tuple[str, str, str]]()

    async def submit(host: Host, media: Media, *, knowledge_base: str, tenant: str) -> str:
        change = SourceChange(name=media.name, kind="video", state="ready")
        await host.bench.part(LIBRARY).put(tenant, knowledge_base, media.sha256, change)
        submitted.append((tenant, knowledge_base, media.name))
        return "run-1"

    monkeypatch.setattr(door, "submit", submit)
    return submitted


async def upload(client: httpx.AsyncClient, name: str = "film.mp4", body: bytes = FILM, base: str = "kb") -> str:
    answer = await client.post("/api/v1/knowledge/ingest", data={"knowledge_base": base}, files={"file": (name, body)})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["submitted"][0]["source"])


async def test_an_upload_is_kept_and_submitted(locked: Served, taken: list[tuple[str, str, str]]) -> None:
    async with locked.of("team-a") as a:
        sha = await upload(a)
    assert sha == hashlib.sha256(FILM).hexdigest()
    assert taken == [("team-a", "kb", "film.mp4")]


async def test_a_player_can_seek_and_only_its_tenants(locked: Served) -> None:
    async with locked.of("team-a") as a, locked.of("team-b") as b:
        sha = await upload(a)
        part = await a.get(f"/api/v1/media/{sha}", headers={"Range": "bytes=1000-1999"})
        assert (part.status_code, part.content) == (206, FILM[1000:2000])
        assert part.headers["content-type"] == "video/mp4"
        assert (await a.get(f"/api/v1/media/{sha}")).content == FILM
        await upload(b, "other.mp4", b"another film")
        unknown = await b.get(f"/api/v1/media/{'0' * 64}")
        foreign = await b.get(f"/api/v1/media/{sha}")
        assert (foreign.status_code, set(foreign.json()["error"])) == (404, set(unknown.json()["error"]))
        assert [each["name"] for each in (await b.get("/api/v1/knowledge/sources")).json()] == ["other.mp4"]
        assert (await b.get(f"/api/v1/knowledge/sources/{sha}?knowledge_base=kb")).status_code == 404
        assert (await b.delete(f"/api/v1/knowledge/sources/{sha}?knowledge_base=kb")).status_code == 404


async def test_a_tool_opens_only_ones_own_media(locked: Served, keyed: Settings) -> None:
    async with locked.of("team-a") as a, locked.of("team-b") as b:
        sha = await upload(a)
        for reference in (sha, f"{sha}/frames/1.000.jpg"):
            assert (await a.post("/api/v1/tools/echo", json={"text": reference})).status_code == 200
            assert (await b.post("/api/v1/tools/echo", json={"text": reference})).status_code == 404
    service = {"Authorization": f"Bearer {secret(keyed.home, 'service')}", "X-Sutradhar-Tenant": "team-b"}
    async with locked.client(headers=service) as flows:
        assert (await flows.post("/api/v1/tools/echo", json={"text": sha})).status_code == 200


async def test_a_page_is_never_shown_as_one(locked: Served) -> None:
    async with locked.of("team-a") as a:
        sha = await upload(a, "page.html", b"<script>alert(1)</script>")
        answer = await a.get(f"/api/v1/media/{sha}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_pictures_of_a_medium(locked: Served) -> None:
    media = locked.app.state.host.bench.media
    async with locked.of("team-a") as a:
        sha = await upload(a)
        await media.derive(sha, "frames/12.480.jpg", b"jpeg")
        await media.derive(sha, "segments.json", b"{}")
        assert (await a.get(f"/api/v1/media/{sha}/frames/12.480.jpg")).content == b"jpeg"
        for other in ("segments.json", "frames/0.jpg", "../../../host.json", "%2e%2e/%2e%2e/media.jpg"):
            assert (await a.get(f"/api/v1/media/{sha}/{other}")).status_code in (404, 422)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\\..\\b.mp4", "x" * 300, "a\u202eb.mp4", "CON"])
async def test_hostile_names_stay_inside(locked: Served, keyed: Settings, name: str) -> None:
    before = set(keyed.home.parent.iterdir())
    async with locked.of("team-a") as a:
        sha = await upload(a, name, name.encode())
        source = (await a.get(f"/api/v1/knowledge/sources/{sha}?knowledge_base=kb")).json()
    assert "/" not in source["name"]
    assert len(source["name"]) <= 200
    assert set(keyed.home.parent.iterdir()) == before


async def test_several_files_in_one_form(open_door: Served, taken: list[tuple[str, str, str]]) -> None:
    files = [("file", (f"{n}.mp4", bytes([n]) * 300_000)) for n in range(3)]
    async with open_door.client() as client:
        answer = await client.post("/api/v1/knowledge/ingest", files=files)
    assert [each["size"] for each in answer.json()["submitted"]] == [300_000] * 3
    assert [name for _, _, name in taken] == ["0.mp4", "1.mp4", "2.mp4"]


async def test_an_upload_beyond_the_limit_leaves_nothing(settings: Settings) -> None:
    small = settings.model_copy(update={"limits": Limits(upload_bytes=100_000), "server": Server()})

    async def endless() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        for _ in range(100):
            yield b"a" * 65_536

    async with serve(small) as served, served.client() as client:
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await client.post("/api/v1/knowledge/ingest", content=endless(), headers=kind)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert [path for path in (small.home / "tmp").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no boundary at all"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx',
        ),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nx\r\n--b--\r\n'),
    ],
)
async def test_broken_forms(open_door: Served, kind: str, body: bytes) -> None:
    async with open_door.client() as client:
        answer = await client.post("/api/v1/knowledge/ingest", content=body, headers={"Content-Type": kind})
    assert answer.status_code in (400, 422), answer.text


async def test_sources_segments_events_and_forgetting(open_door: Served, tmp_path: Path) -> None:
    host: Host = open_door.app.state.host
    async with open_door.client() as client:
        sha = await upload(client, body=b"one film")
        store = host.bench.part(STORE)
        assert isinstance(store, Remembered)
        said = Segment(
            id=segment_id(sha, "speech", "1-2", "hello"),
            knowledge_base="kb",
            source=sha,
            modality="speech",
            text="hello",
            start=1.0,
            end=2.0,
            made=Made(model="test"),
        )
        store.segments["local"] = [said]
        change = SourceChange(segments={"speech": 1})
        await host.bench.part(LIBRARY).put("local", "kb", sha, change)
        where = f"/api/v1/knowledge/sources/{sha}"
        here = {"knowledge_base": "kb"}
        assert (await client.get(where, params=here)).json()["segments"] == {"speech": 1}
        assert [each["text"] for each in (await client.get(f"{where}/segments", params=here)).json()] == ["hello"]
        assert (await client.get(f"{where}/segments", params={**here, "modality": "page"})).json() == []
        assert [kind for kind, _ in frames((await client.get(f"{where}/events", params=here)).text)] == ["source"]
        bases = {each["name"]: each for each in (await client.get("/api/v1/knowledge/bases")).json()}
        assert bases["kb"]["segments"] == {"speech": 1}
        assert (await client.delete(where, params=here)).json() == {"deleted": True}
        assert store.segments["local"] == []
        assert (await client.get(where, params=here)).status_code == 404
