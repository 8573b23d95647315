"""Memory's tools over a real store and library, with an embedding that needs no weights."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from knowledge.library import LIBRARY, SourceChange
from knowledge.open import open_knowledge
from knowledge.segment import Made, Modality, Segment, segment_id
from knowledge.store import STORE, Where
from knowledge.tools import (
    ForgetInput,
    ListSourcesInput,
    Nothing,
    PutSourceInput,
    RecallInput,
    RememberInput,
    SearchInput,
    SourceInput,
    forget,
    get_source,
    list_knowledge_bases,
    list_sources,
    put_source,
    recall,
    remember,
    search,
)
from tools.bench import Bench
from tools.errors import Conflict, NotFound
from tools.open import open_bench
from tools.settings import Settings

pytestmark = pytest.mark.anyio

FILM, PAPER = "f" * 64, "d" * 64
SAID = [
    "Welcome to the clean room.",
    "Here the telescope stands.",
    "Its mirror has eighteen segments of beryllium.",
    "Each one is coated with gold.",
    "Engineers test it for vibration.",
    "Goodbye from Greenbelt.",
]


@pytest.fixture(scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    settings = Settings(
        home=tmp_path_factory.mktemp("tools") / "home",
        offline=True,
        serves={"text-embedding": ["hashed-words"], "reranking": ["shared-words"]},
        _env_file=None,
    )
    async with open_bench(settings) as bench, open_knowledge(bench) as opened:
        yield opened


@pytest.fixture
async def bench(opened: Bench, request: pytest.FixtureRequest) -> Bench:
    """A tenant of its own for each test, with a film and a paper."""
    bench = opened.serving(request.node.name)
    segments = [said(n, text) for n, text in enumerate(SAID)] + [
        segment(PAPER, "page", "1", "Beryllium is a light metal.", page=4),
        segment(PAPER, "page", "2", "It is toxic as dust.", page=4),
        segment(PAPER, "page", "3", "Gold does not rust.", page=5),
    ]
    for sha, name in ((FILM, "webb.mp4"), (PAPER, "metals.pdf")):
        change = SourceChange(name=name, state="ready")
        await bench.call(put_source, PutSourceInput(sha256=sha, knowledge_base="main", change=change))
    assert (await bench.call(remember, RememberInput(segments=segments))).segments == 9
    return bench


def segment(source: str, modality: Modality, where: str, text: str, **more: float) -> Segment:
    return Segment.model_validate(
        {
            "id": segment_id(source, modality, where, text),
            "knowledge_base": "main",
            "source": source,
            "modality": modality,
            "text": text,
            "made": Made(model="test"),
            **more,
        }
    )


def said(number: int, text: str) -> Segment:
    return segment(FILM, "speech", str(number), text, start=10.0 * number, end=10.0 * number + 9)


async def test_what_was_remembered_is_found(bench: Bench) -> None:
    found = await bench.call(search, SearchInput(query="What is the mirror made of?", limit=3))
    assert found.hits[0].segment.text == SAID[2]
    narrowed = SearchInput(query="gold", where=Where(modalities=["page"]), limit=3)
    assert (await bench.call(search, narrowed)).hits[0].segment.text == "Gold does not rust."
    in_order = await bench.call(search, SearchInput(where=Where(sources=[FILM], start=20, end=40)))
    assert [hit.segment.text for hit in in_order.hits] == SAID[2:4]


async def test_recall_groups_by_source_and_widens(bench: Bench) -> None:
    recalled = await bench.call(recall, RecallInput(question="eighteen segments of beryllium", limit=2))
    names = [group.name for group in recalled.groups]
    assert names == ["webb.mp4", "metals.pdf"]
    film, paper = recalled.groups
    assert [each.text for each in film.evidence[0].neighbours] == [SAID[1], SAID[3]]
    assert [each.text for each in paper.evidence[0].neighbours] == ["It is toxic as dust."]
    alone = await bench.call(recall, RecallInput(question="beryllium", limit=2, neighbour_seconds=0))
    assert all(not each.neighbours for group in alone.groups for each in group.evidence)


async def test_reranking_says_whether_it_happened(bench: Bench) -> None:
    asked = RecallInput(question="coated with gold", rerank=True)
    recalled = await bench.call(recall, asked)
    assert recalled.reranked
    assert recalled.groups[0].evidence[0].segment.text == SAID[3]
    assert not (await bench.call(recall, asked.model_copy(update={"rerank": False}))).reranked


async def test_what_is_new_comes_first_when_asked_for(bench: Bench) -> None:
    now = datetime.now(UTC)

    def report(days: float) -> Segment:
        recorded = now - timedelta(days=days)
        old = segment(FILM, "event", str(days), "the gate was opened")
        return old.model_copy(update={"recorded_from": recorded, "recorded_to": recorded, "knowledge_base": "gate"})

    await bench.call(remember, RememberInput(segments=[report(30), report(0), report(3)]))
    asked = RecallInput(question="gate opened", where=Where(knowledge_bases=["gate"]), half_life_days=1.0)
    (group,) = (await bench.call(recall, asked)).groups
    ages = [round((now - each.segment.recorded_from).days) for each in group.evidence if each.segment.recorded_from]
    assert ages == [0, 3, 30]


async def test_sources_are_listed_and_forgotten_with_their_segments(bench: Bench) -> None:
    listed = await bench.call(list_sources, ListSourcesInput(knowledge_base="main"))
    assert {source.name for source in listed.sources} == {"webb.mp4", "metals.pdf"}
    bases = (await bench.call(list_knowledge_bases, Nothing())).knowledge_bases
    assert [(base.name, base.sources, base.segments) for base in bases] == [("main", 2, 9)]
    gone = await bench.call(forget, ForgetInput(knowledge_base="main", sha256=PAPER))
    assert (gone.sources, gone.segments) == (1, 3)
    with pytest.raises(NotFound):
        await bench.call(get_source, SourceInput(sha256=PAPER, knowledge_base="main"))
    gone = await bench.call(forget, ForgetInput(knowledge_base="main"))
    assert (gone.sources, gone.segments) == (1, 6)
    assert (await bench.call(list_knowledge_bases, Nothing())).knowledge_bases == []


async def test_a_medium_goes_with_the_last_who_has_it(bench: Bench) -> None:
    async def bytes_of_a_film() -> AsyncIterator[bytes]:
        yield bench.tenant.encode()

    film = await bench.media.put(bytes_of_a_film(), name="film.mp4")
    frame = await bench.media.derive(film.sha256, "frames/1.jpg", b"picture")
    other = bench.serving(f"{bench.tenant}, another")
    change = SourceChange(name="film.mp4", state="ready")
    for who, base in ((bench, "main"), (bench, "copies"), (other, "main")):
        await who.call(put_source, PutSourceInput(sha256=film.sha256, knowledge_base=base, change=change))
    await other.part(LIBRARY).own(other.tenant, "e" * 64, "a report")
    for who, base in ((bench, "main"), (bench, "copies")):
        await who.call(forget, ForgetInput(knowledge_base=base, sha256=film.sha256))
        assert await bench.media.read(frame) == b"picture"
    await other.call(forget, ForgetInput(knowledge_base="main"))
    for ref in (film.sha256, frame):
        with pytest.raises(NotFound):
            await bench.media.read(ref)


async def test_another_tenant_sees_nothing(bench: Bench) -> None:
    other = bench.serving("somebody else")
    assert (await other.call(search, SearchInput(query="mirror"))).hits == []
    assert (await other.call(list_sources, ListSourcesInput())).sources == []
    with pytest.raises(NotFound):
        await other.call(get_source, SourceInput(sha256=FILM, knowledge_base="main"))
    await other.call(forget, ForgetInput(knowledge_base="main"))
    assert await bench.part(STORE).count(bench.tenant, Where()) == 9


async def test_remembering_twice_keeps_once(bench: Bench) -> None:
    again = RememberInput(segments=[said(n, text) for n, text in enumerate(SAID)])
    await bench.call(remember, again)
    assert await bench.part(STORE).count(bench.tenant, Where()) == 9
    assert (await bench.call(remember, RememberInput(segments=[]))).segments == 0


async def test_a_home_has_one_owner(opened: Bench) -> None:
    with pytest.raises(Conflict, match="Another process"):
        async with open_knowledge(opened):
            pass


@pytest.mark.parametrize(
    "arguments", [{"query": ""}, {"query": "x" * 5_000}, {"limit": 0}, {"limit": 10_000}, {"tenant": "other"}]
)
def test_inputs_are_bounded(arguments: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SearchInput.model_validate(arguments)
