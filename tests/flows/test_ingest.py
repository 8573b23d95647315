"""Ingest through a real Prefect server and a real flow runner, against a host whose memory can be told to fail."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from flows.client import Flows, Progress
from flows.server import PrefectServer
from tests.flows.conftest import runner
from tests.flows.host import FakeHost
from tests.ingestion import papers
from tools.media.store import Media, MediaStore
from tools.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("serving")]
_SECONDS = 120.0


async def put(settings: Settings, path: Path) -> Media:
    store = MediaStore(settings.home / "media", settings.home / "tmp", max_bytes=1 << 30)
    return await store.put(path, name=path.name)


def paper(folder: Path, title: str) -> Path:
    """A document of its own content, so that every test has its own source."""
    path = folder / f"{title}.md"
    path.write_text("".join(f"# {title} {n}\n\n{papers.PARAGRAPH} Number {n}.\n\n" for n in range(150)))
    return path


async def finish(flows: Flows, run: str) -> list[Progress]:
    async with asyncio.timeout(_SECONDS):
        return [each async for each in flows.follow(run)]


async def test_a_document_becomes_segments_and_once_is_enough(
    flow_settings: Settings, flows: Flows, host: FakeHost, tmp_path: Path
) -> None:
    media = await put(flow_settings, papers.docx(tmp_path / "notes.docx"))
    first, same = await asyncio.gather(*(flows.submit(media, knowledge_base="field", tenant="local") for _ in range(2)))
    assert first == same
    seen = await finish(flows, first)
    assert seen[-1].state == "done", seen[-1].message
    assert {stage.name: stage.fraction for stage in seen[-1].stages} == {"read": 1.0, "remember": 1.0}
    source = await host.library.get("local", "field", media.sha256)
    assert (source.state, source.segments) == ("ready", {"page": 2, "table": 1})
    assert source.stages["read"].state == "done"
    remembered = host.of(media.sha256)
    assert len(remembered) == 3

    calls = host.calls["remember"]
    again = await finish(flows, await flows.submit(media, knowledge_base="field", tenant="local"))
    assert again[-1].state == "done"
    assert "kept" in again[-1].stages[0].note
    assert host.calls["remember"] == calls


async def test_a_stage_that_breaks_is_tried_again(
    flow_settings: Settings, flows: Flows, host: FakeHost, tmp_path: Path
) -> None:
    media = await put(flow_settings, paper(tmp_path, "retried"))
    host.fail["remember"] = 1
    seen = await finish(flows, await flows.submit(media, knowledge_base="field", tenant="local"))
    assert seen[-1].state == "done", seen[-1].message
    assert host.fail["remember"] == 0
    assert len(host.of(media.sha256)) == 150


async def test_a_refused_file_fails_at_once_and_says_why(
    flow_settings: Settings, flows: Flows, host: FakeHost, tmp_path: Path
) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7\nnonsense")
    media = await put(flow_settings, tmp_path / "broken.pdf")
    seen = await finish(flows, await flows.submit(media, knowledge_base="field", tenant="local"))
    assert seen[-1].state == "failed"
    assert "broken PDF" in seen[-1].message
    source = await host.library.get("local", "field", media.sha256)
    assert source.state == "failed"
    assert "broken PDF" in source.reason
    assert source.stages["read"].state == "failed"


async def test_cancelled_while_it_runs(flow_settings: Settings, flows: Flows, host: FakeHost, tmp_path: Path) -> None:
    media = await put(flow_settings, paper(tmp_path, "cancelled"))
    host.hold.clear()
    host.held.clear()
    try:
        run = await flows.submit(media, knowledge_base="field", tenant="local")
        await asyncio.wait_for(host.held.wait(), _SECONDS)
        await asyncio.wait_for(flows.stop(media.sha256, knowledge_base="field", tenant="local"), _SECONDS)
        seen = await finish(flows, run)
    finally:
        host.hold.set()
    assert len(seen) == 1
    assert seen[-1].state == "cancelled"
    source = await host.library.get("local", "field", media.sha256)
    assert (source.state, source.reason) == ("failed", "Stopped before it was finished.")


async def test_the_watched_folder(flow_settings: Settings, flows: Flows, host: FakeHost, tmp_path: Path) -> None:
    from tools.errors import NotFound

    folder = flow_settings.home / "watch" / "harvest"
    folder.mkdir(parents=True)
    content = paper(tmp_path, "watched").read_bytes()
    media = await put(flow_settings, tmp_path / "watched.md")
    (folder / "watched.md").write_bytes(content)
    (folder / "link.md").symlink_to(tmp_path / "watched.md")
    (folder / "half.part").write_text("not yet")
    async with asyncio.timeout(_SECONDS):
        state = ""
        while state != "ready":
            await asyncio.sleep(0.5)
            try:
                state = (await host.library.get("local", "harvest", media.sha256)).state
            except NotFound:
                continue
    assert len(host.of(media.sha256)) == 150
    assert len(await host.library.sources("local", "harvest")) == 1


async def test_killed_in_the_middle_and_resumed(  # noqa: PLR0917 - fixtures
    flow_settings: Settings,
    flows: Flows,
    host: FakeHost,
    server: PrefectServer,
    serving: asyncio.subprocess.Process,
    tmp_path: Path,
) -> None:
    """Comes last: it kills the runner that the other tests share."""
    media = await put(flow_settings, paper(tmp_path, "killed"))
    host.hold.clear()
    host.held.clear()
    run = await flows.submit(media, knowledge_base="field", tenant="local")
    await asyncio.wait_for(host.held.wait(), _SECONDS)
    os.kill(serving.pid, signal.SIGKILL)
    await serving.wait()
    host.hold.set()
    assert (await flows.progress(run)).state == "running"
    async with runner(flow_settings, server):
        seen = await finish(flows, run)
    assert seen[-1].state == "done", seen[-1].message
    assert len(host.of(media.sha256)) == 150
    assert (await host.library.get("local", "field", media.sha256)).state == "ready"
