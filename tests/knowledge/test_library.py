"""The library: tenants apart, changes at the same time, and what survives the process."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from knowledge.library import Feedback, Library, SourceChange, Stage, open_library
from tools.errors import InvalidInput, NotFound, NotInstalled

pytestmark = pytest.mark.anyio

SHA = "a" * 64


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "library.sqlite") as opened:
        yield opened


async def test_a_source_is_added_changed_and_forgotten(library: Library) -> None:
    added = await library.put("local", "main", SHA, SourceChange(name="film.mp4", kind="video"))
    assert added.state == "queued"
    ready = await library.put("local", "main", SHA, SourceChange(state="ready", duration=16.6, segments={"speech": 3}))
    assert (ready.name, ready.kind, ready.duration, ready.added_at) == ("film.mp4", "video", 16.6, added.added_at)
    assert await library.sources("local") == await library.sources("local", state="ready") == [ready]
    assert await library.sources("local", state="queued") == []
    await library.forget("local", "main", SHA)
    with pytest.raises(NotFound, match="no source"):
        await library.get("local", "main", SHA)


async def test_stages_that_report_at_once_lose_no_report(library: Library) -> None:
    await library.put("local", "main", SHA, SourceChange(name="film.mp4", kind="video"))
    await asyncio.gather(
        *(
            library.put("local", "main", SHA, SourceChange(stages={f"stage{n}": Stage(state="running", fraction=0.5)}))
            for n in range(20)
        )
    )
    assert len((await library.get("local", "main", SHA)).stages) == 20


@pytest.mark.parametrize("other", ["te", "team.", "team.a", "tea", "Team", "team%", "team_"])
async def test_tenants_whose_names_begin_alike_are_apart(library: Library, other: str) -> None:
    await library.put("team", "main", SHA, SourceChange(name="ours"))
    await library.put(other, "main.x", SHA, SourceChange(name="theirs"))
    assert [each.name for each in await library.sources("team")] == ["ours"]
    assert [each.name for each in await library.sources(other)] == ["theirs"]
    assert [each.name for each in await library.sources(other, "main")] == []


async def test_no_tenant_is_an_error(library: Library) -> None:
    with pytest.raises(InvalidInput, match="tenant"):
        await library.sources("")


async def test_more_sources_than_a_page(library: Library) -> None:
    for number in range(510):
        await library.put("local", "main", f"{number:064x}", SourceChange(name=str(number)))
    assert len(await library.sources("local", "main")) == 510


async def test_feedback_and_preferences_are_kept(tmp_path: Path) -> None:
    async with open_library(tmp_path / "library.sqlite") as library:
        said = Feedback(run="run-1", rating="up", comment="ठीक है", at=datetime(2026, 11, 23, tzinfo=UTC))
        await library.say("local", said)
        await library.prefer("local", "me", {"language": "hi", "voice": "a"})
        await library.prefer("local", "me", {"voice": None})
    async with open_library(tmp_path / "library.sqlite") as library:
        assert await library.feedback("local") == [said]
        assert await library.feedback("other") == []
        assert await library.preferences("local", "me") == {"language": "hi"}


async def test_postgres_says_what_to_install() -> None:
    with pytest.raises(NotInstalled, match="Postgres"):
        async with open_library("postgresql://127.0.0.1/x"):
            pass
