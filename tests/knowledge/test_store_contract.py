"""One contract, two engines: whatever is true of one must be true of the other, and of a plain list."""

import math
import random
import string
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from knowledge.embedded import open_embedded
from knowledge.segment import Made, Modality, Segment, segment_id
from knowledge.server import open_server
from knowledge.store import Indexed, Query, SegmentStore, Where
from tools.errors import InvalidInput

pytestmark = [
    pytest.mark.anyio,
    # the stand-in says that it does without payload indexes, and that it is slow with many points
    pytest.mark.filterwarnings("ignore:.*local Qdrant.*:UserWarning", "ignore:.*Local mode.*:UserWarning"),
]

DIMENSIONS = 16
BORN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


async def opened(engine: str, folder: Path, seal_points: int) -> SegmentStore:
    if engine == "embedded":
        return await open_embedded(folder, DIMENSIONS, seal_points)
    return await open_server(":memory:", "", DIMENSIONS)


@pytest.fixture(scope="module", params=["embedded", "server"])
async def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SegmentStore]:
    # small parts, so that the tests run over many of them while some are being optimised
    store = await opened(request.param, tmp_path_factory.mktemp("store"), seal_points=400)
    yield store
    await store.close()


@pytest.fixture
def tenant() -> str:
    """A tenant of its own for each test, all in one store."""
    return uuid4().hex


def vector(seed: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    made = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made))


def segment(
    number: int,
    *,
    source: str = "film",
    base: str = "main",
    modality: Modality = "speech",
    text: str = "",
    start: float | None = None,
    end: float | None = None,
    page: int | None = None,
    recorded: datetime | None = None,
) -> Segment:
    text = text or f"word{number}"
    return Segment(
        id=segment_id(source, modality, str(number), text),
        knowledge_base=base,
        source=source,
        modality=modality,
        text=text,
        start=start,
        end=end,
        page=page,
        recorded_from=recorded,
        recorded_to=recorded + timedelta(seconds=10) if recorded else None,
        made=Made(model="test"),
    )


def indexed(*segments: Segment) -> list[Indexed]:
    return [Indexed(each, vector(index)) for index, each in enumerate(segments)]


def texts(segments: list[Segment]) -> set[str]:
    return {each.text for each in segments}


async def test_what_comes_back_is_what_was_written(store: SegmentStore, tenant: str) -> None:
    whole = Segment(
        id=segment_id("film", "screen_text", "1", "क्षमा कीजिए 👩‍👩‍👧 \u202eabc"),
        knowledge_base="मुख्य",
        source="film",
        modality="screen_text",
        text="क्षमा कीजिए 👩‍👩‍👧 \u202eabc",
        start=0.1 + 0.2,
        end=math.pi,
        page=3,
        heading="§ 1",
        recorded_from=BORN,
        recorded_to=BORN + timedelta(microseconds=7),
        language="hi",
        speaker="ना",
        box=(0.1, 0.2, 0.3, 0.4),
        confidence=0.5,
        image="ab/frames/1.000.jpg",
        made=Made(model="m", version="2"),
    )
    await store.upsert(tenant, [Indexed(whole, vector(1))])
    assert await store.get(tenant, [str(whole.id)]) == [whole]
    assert (await store.search(tenant, Query(vector=vector(1))))[0].segment == whole
    assert await store.scroll(tenant, Where(knowledge_bases=["मुख्य"])) == [whole]


async def test_the_same_again_changes_nothing(store: SegmentStore, tenant: str) -> None:
    segments = [segment(number, start=number, end=number + 1) for number in range(250)]
    await store.upsert(tenant, indexed(*segments))
    await store.upsert(tenant, indexed(*segments[:150]))
    assert await store.count(tenant, Where()) == 250
    before = [(hit.segment.text, hit.score) for hit in await store.search(tenant, Query(words="word7"))]
    await store.upsert(tenant, indexed(*segments))
    assert [(hit.segment.text, hit.score) for hit in await store.search(tenant, Query(words="word7"))] == before


async def test_a_second_version_replaces_the_first(store: SegmentStore, tenant: str) -> None:
    first = segment(1, start=1, end=2)
    await store.upsert(tenant, indexed(first, *(segment(number) for number in range(2, 120))))
    changed = first.model_copy(update={"start": 5.0, "end": 6.0})
    await store.upsert(tenant, [Indexed(changed, vector(500))])
    assert await store.get(tenant, [str(first.id)]) == [changed]
    assert await store.count(tenant, Where(start=0, end=3)) == 0
    assert (await store.search(tenant, Query(vector=vector(500), limit=1)))[0].segment == changed


async def test_windows_are_exact_at_their_borders(store: SegmentStore, tenant: str) -> None:
    await store.upsert(
        tenant,
        indexed(
            segment(1, text="until ten", start=0, end=10),
            segment(2, text="from twenty", start=20, end=30),
            segment(3, text="at ten", start=10, end=10),
            segment(4, text="at twenty", start=20),
            segment(5, text="across", start=5, end=25),
            segment(6, text="a page", page=1),
        ),
    )
    window = await store.scroll(tenant, Where(start=10, end=20))
    assert texts(window) == {"at ten", "across"}
    assert texts(await store.scroll(tenant, Where(start=9.999, end=20.001))) == {
        "until ten", "from twenty", "at ten", "at twenty", "across"
    }  # fmt: skip
    assert texts(await store.scroll(tenant, Where(start=25))) == {"from twenty"}
    assert texts(await store.scroll(tenant, Where(end=5))) == {"until ten"}


async def test_wall_clock_windows_are_exact_too(store: SegmentStore, tenant: str) -> None:
    await store.upsert(tenant, indexed(*(segment(n, recorded=BORN + timedelta(seconds=10 * n)) for n in range(5))))
    where = Where(recorded_from=BORN + timedelta(seconds=20), recorded_to=BORN + timedelta(seconds=30))
    assert texts(await store.scroll(tenant, where)) == {"word2"}
    # the same instants by an Indian clock
    kolkata = BORN.astimezone(ZoneInfo("Asia/Kolkata"))
    assert await store.count(tenant, Where(recorded_from=kolkata, recorded_to=kolkata + timedelta(seconds=1))) == 1


def _matches(each: Segment, where: Where) -> bool:
    if where.sources and each.source not in where.sources:
        return False
    if where.modalities and each.modality not in where.modalities:
        return False
    if where.knowledge_bases and each.knowledge_base not in where.knowledge_bases:
        return False
    start, end = each.start or 0.0, each.end or 0.0
    return (where.start is None or end > where.start) and (where.end is None or start < where.end)


async def test_conditions_agree_with_a_plain_list(store: SegmentStore, tenant: str) -> None:
    chance = random.Random(7)  # noqa: S311
    modalities: list[Modality] = ["speech", "caption", "object"]
    segments = []
    for number in range(400):
        start = round(chance.uniform(0, 100), 1)
        segments.append(
            segment(
                number,
                source=chance.choice("abc"),
                base=chance.choice("xy"),
                modality=chance.choice(modalities),
                start=start,
                end=start + round(chance.uniform(0.1, 9), 1),
            )
        )
    items = indexed(*segments)
    await store.upsert(tenant, items)
    for _ in range(25):
        lower = chance.uniform(0, 90)
        where = Where(
            sources=chance.sample("abc", chance.randint(0, 2)),
            modalities=chance.sample(modalities, chance.randint(0, 2)),
            knowledge_bases=chance.sample("xy", chance.randint(0, 1)),
            start=chance.choice([None, lower]),
            end=chance.choice([None, lower + 10]),
        )
        expected = [each for each in items if _matches(each.segment, where)]
        assert await store.count(tenant, where) == len(expected)
        scrolled = await store.scroll(tenant, where, limit=500)
        assert [each.start for each in scrolled] == sorted(each.segment.start or 0 for each in expected)
        asked = vector(chance.randint(0, 10**6))
        nearest = sorted(expected, key=lambda each: -float(each.vector @ asked))[:10]
        found = await store.search(tenant, Query(where=where, vector=asked, limit=10))
        assert [hit.segment.id for hit in found] == [each.segment.id for each in nearest]
        facets = await store.facet(tenant, "source", where)
        assert facets == {name: n for name in "abc" if (n := sum(e.segment.source == name for e in expected))}


async def test_order_is_by_time_or_page_and_what_has_neither_is_last(store: SegmentStore, tenant: str) -> None:
    await store.upsert(
        tenant,
        indexed(*(segment(n, start=float(n * 7 % 150), page=n % 9 + 1) for n in range(150)), segment(999)),
    )
    by_time = await store.scroll(tenant, Where(), limit=200)
    assert [each.start for each in by_time[:-1]] == [float(n) for n in range(150)]
    assert by_time[-1].text == "word999"
    assert len(await store.scroll(tenant, Where(), limit=40)) == 40
    pages = [each.page for each in await store.scroll(tenant, Where(pages=[2, 5]), order="page")]
    assert pages == sorted(pages, key=lambda page: page or 0)
    assert set(pages) == {2, 5}


async def test_what_was_deleted_is_gone_and_only_that(store: SegmentStore, tenant: str) -> None:
    await store.upsert(tenant, indexed(*(segment(n, source=f"s{n % 3}") for n in range(300))))
    await store.delete(tenant, Where(sources=["s1"]))
    assert await store.facet(tenant, "source", Where()) == {"s0": 100, "s2": 100}
    assert await store.search(tenant, Query(words="word1", where=Where(sources=["s1"]))) == []
    await store.upsert(tenant, indexed(*(segment(n, source="s1") for n in range(5))))
    assert await store.count(tenant, Where(sources=["s1"])) == 5
    with pytest.raises(InvalidInput, match="at least one condition"):
        await store.delete(tenant, Where())


async def test_two_knowledge_bases_may_hold_the_same_content(store: SegmentStore, tenant: str) -> None:
    await store.upsert(tenant, indexed(segment(1, base="a")))
    await store.upsert(tenant, indexed(segment(1, base="b")))
    assert await store.facet(tenant, "knowledge_base", Where()) == {"a": 1, "b": 1}
    await store.delete(tenant, Where(knowledge_bases=["a"]))
    assert await store.facet(tenant, "knowledge_base", Where()) == {"b": 1}


async def test_words_find_what_holds_them_in_any_script(store: SegmentStore, tenant: str) -> None:
    await store.upsert(
        tenant,
        indexed(
            segment(1, text="The Panthers were founded in 1995."),
            segment(2, text="दिल्ली भारत की राजधानी है, १९११ से।"),
            segment(3, text="Running shoes for runners"),
            *(segment(n, text=f"filler number {n * 1000}") for n in range(10, 130)),
        ),
    )

    async def first(words: str) -> str:
        return (await store.search(tenant, Query(words=words, limit=1)))[0].segment.text

    assert "Panthers" in await first("पैंथर्स")
    assert "Panthers" in await first("१९९५ में")
    assert "दिल्ली" in await first("राजधानियों के बारे में")
    assert "दिल्ली" in await first("1911")
    assert "Running" in await first("run")
    assert await store.search(tenant, Query(words="the")) == []


async def test_meaning_and_words_together_beat_either_alone(store: SegmentStore, tenant: str) -> None:
    near, named = segment(1, text="something close in meaning"), segment(2, text="the zyxwv itself")
    noise = [Indexed(segment(n, text="noise"), vector(n)) for n in range(10, 60)]
    beside = np.asarray(vector(1) * 0.6 + vector(2) * 0.8, dtype=np.float32)
    await store.upsert(tenant, [Indexed(near, vector(1)), Indexed(named, beside), *noise])
    assert (await store.search(tenant, Query(vector=vector(1))))[0].segment == near
    assert (await store.search(tenant, Query(vector=vector(1), words="zyxwv")))[0].segment == named
    nothing = await store.search(tenant, Query(vector=vector(1), words="nowhere"))
    assert nothing[0].segment == near


async def test_a_long_text_is_found_by_one_of_its_windows(store: SegmentStore, tenant: str) -> None:
    page, other = segment(1, text="a page of many things"), segment(2, text="another page")
    windows = np.stack([vector(8), vector(9)])
    noise = [Indexed(segment(n, text="noise"), vector(n)) for n in range(20, 40)]
    both = np.asarray(vector(9) + vector(5), dtype=np.float32)
    both /= np.linalg.norm(both)
    await store.upsert(tenant, [Indexed(page, vector(5), windows), Indexed(other, vector(5) * 1.0), *noise])
    found = await store.search(tenant, Query(vector=both, words="many pages", limit=2))
    assert [hit.segment for hit in found] == [page, other]
    # alone the vector is compared with the whole text only
    alone = await store.search(tenant, Query(vector=both, limit=2))
    assert alone[0].score == pytest.approx(alone[1].score)


async def test_rarity_is_a_tenants_own(store: SegmentStore, tenant: str) -> None:
    await store.upsert(tenant, indexed(*(segment(n, text="rare common" if n else "common") for n in range(2))))
    before = [hit.score for hit in await store.search(tenant, Query(words="rare"))]
    await store.upsert(f"{tenant}-other", indexed(*(segment(n, text=f"rare {n}") for n in range(150))))
    assert [hit.score for hit in await store.search(tenant, Query(words="rare"))] == pytest.approx(before)


@pytest.mark.parametrize("engine", ["embedded", "server"])
async def test_no_query_sees_another_tenant(engine: str, tmp_path: Path, tenant: str) -> None:
    store = await opened(engine, tmp_path / "segments", seal_points=100)
    ours = [segment(n, text=f"shared text {n}", start=n, end=n + 1) for n in range(20)]
    theirs = [each.model_copy(update={"speaker": "theirs"}) for each in ours]
    await store.upsert(f"{tenant}-ours", indexed(*ours))
    await store.upsert(f"{tenant}-theirs", indexed(*theirs))
    chance = random.Random(3)  # noqa: S311
    hostile = [
        f"{tenant}-theirs",
        f"{tenant}-ours\x1f{tenant}-theirs",
        "*",
        "' OR 1=1",
        '{"must_not": []}',
        "",
        "../theirs",
        "ours",
    ]

    def junk() -> str:
        return chance.choice([*hostile, "".join(chance.choices(string.printable, k=8)), "film", "main"])

    for _ in range(1000):
        where = Where(
            sources=[junk() for _ in range(chance.randint(0, 2))],
            knowledge_bases=[junk() for _ in range(chance.randint(0, 2))],
            start=chance.choice([None, -math.inf, 0.0]),
            end=chance.choice([None, math.inf, 1e300]),
        )
        match chance.randint(0, 2):
            case 0:
                query = Query(where=where, vector=vector(chance.randint(0, 99)), words=junk(), limit=200)
                found = [hit.segment for hit in await store.search(f"{tenant}-ours", query)]
            case 1:
                found = await store.scroll(f"{tenant}-ours", where, limit=200)
            case _:
                found = await store.get(f"{tenant}-ours", [str(theirs[chance.randint(0, 19)].id), junk()])
        assert all(each.speaker is None for each in found)
    await store.delete(f"{tenant}-ours", Where(sources=["film"]))
    assert await store.count(f"{tenant}-theirs", Where()) == 20
    await store.close()


@pytest.mark.parametrize("tenant", ["", " ", "\n"])
async def test_an_empty_tenant_raises(store: SegmentStore, tenant: str) -> None:
    for attempt in (
        store.search(tenant, Query(words="x")),
        store.scroll(tenant, Where()),
        store.get(tenant, ["x"]),
        store.count(tenant, Where()),
        store.facet(tenant, "source", Where()),
        store.delete(tenant, Where(sources=["x"])),
        store.upsert(tenant, indexed(segment(1))),
    ):
        with pytest.raises(InvalidInput, match="tenant"):
            await attempt


async def test_a_vector_of_the_wrong_length_is_refused(store: SegmentStore, tenant: str) -> None:
    with pytest.raises(InvalidInput, match="dimensions"):
        await store.upsert(tenant, [Indexed(segment(1), np.ones(3, dtype=np.float32))])
    with pytest.raises(InvalidInput, match="dimensions"):
        await store.search(tenant, Query(vector=np.ones(3, dtype=np.float32)))
    with pytest.raises(InvalidInput, match="neither"):
        await store.search(tenant, Query())


@pytest.mark.parametrize("engine", ["embedded", "server"])
async def test_ten_thousand_at_once(engine: str, tmp_path: Path, tenant: str) -> None:
    count = 10_000
    store = await opened(engine, tmp_path / "segments", seal_points=8_000)
    try:
        made = np.random.default_rng(1).standard_normal((count, DIMENSIONS)).astype(np.float32)
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        await store.upsert(tenant, [Indexed(segment(n, start=n, end=n + 1), made[n]) for n in range(count)])
        assert await store.count(tenant, Where()) == count
        assert [hit.segment.text for hit in await store.search(tenant, Query(vector=made[77], limit=1))] == ["word77"]
    finally:
        await store.close()
