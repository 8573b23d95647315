"""One part of the embedded store: a Qdrant Edge shard of at most a few ten thousand points, in its own folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.schema import DENSE, FIELDS, WINDOWS, WORDS, Condition

if TYPE_CHECKING:
    from qdrant_edge import EdgeConfig, EdgeShard, Filter

_PAGE = 1_000
_VALUES = 1_000_000


@dataclass
class Part:
    """An open shard. Only the newest part takes points; from the others they are only taken away.

    `hidden` are points that are gone although the shard still has them, because a copy of it is being optimised.
    """

    name: str
    shard: "EdgeShard"
    optimised: bool
    points: int = 0
    sources: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    optimising: bool = False


def config(dimensions: int, *, log: bool) -> "EdgeConfig":
    """A shard's configuration; `log` says whether it takes writes, which a log must then make durable.

    Conditions are answered by the payload indexes and a scan of what they leave, so the graph has no extra links for
    them; a part is small enough for that to be exact and fast.
    """
    from qdrant_edge import (
        Distance,
        EdgeConfig,
        EdgeOptimizersConfig,
        EdgeSparseVectorParams,
        EdgeVectorParams,
        HnswIndexConfig,
        MultiVectorComparator,
        MultiVectorConfig,
    )

    # windows are only compared for what was found already, so they need no graph
    no_graph = HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=1)
    best_window = MultiVectorConfig(MultiVectorComparator.MaxSim)

    return EdgeConfig(
        vectors={
            DENSE: EdgeVectorParams(dimensions, Distance.Cosine),
            WINDOWS: EdgeVectorParams(
                dimensions, Distance.Cosine, multivector_config=best_window, hnsw_config=no_graph
            ),
        },
        sparse_vectors={WORDS: EdgeSparseVectorParams()},
        hnsw_config=HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=10_000, max_indexing_threads=1),
        optimizers=EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1_000),
        max_search_threads=1,
        wal_enabled=log,
    )


def create(folder: Path, dimensions: int, *, log: bool) -> "EdgeShard":
    """A new empty shard with its payload indexes."""
    from qdrant_edge import (
        DatetimeIndexParams,
        EdgeShard,
        FloatIndexParams,
        IntegerIndexParams,
        KeywordIndexParams,
        UpdateOperation,
    )

    params: dict[str, Any] = {
        "tenant": KeywordIndexParams(is_tenant=True, enable_hnsw=False),
        "keyword": KeywordIndexParams(enable_hnsw=False),
        "integer": IntegerIndexParams(enable_hnsw=False),
        "float": FloatIndexParams(enable_hnsw=False),
        "datetime": DatetimeIndexParams(enable_hnsw=False),
    }
    folder.mkdir(parents=True, exist_ok=True)
    shard = EdgeShard.create(str(folder), config(dimensions, log=log))
    for name, kind in FIELDS.items():
        shard.update(UpdateOperation.create_field_index(name, params[kind]))
    return shard


def load(folder: Path, *, optimised: bool) -> Part:
    """Open what is in a folder, and see which sources it holds."""
    from qdrant_edge import EdgeShard, FacetRequest

    shard = EdgeShard.load(str(folder))
    sources = {str(hit.value) for hit in shard.facet(FacetRequest("source", limit=_VALUES, exact=True)).hits}
    return Part(folder.name, shard, optimised, size(shard), sources)


def size(shard: "EdgeShard") -> int:
    """How many points it holds."""
    from qdrant_edge import CountRequest

    return shard.count(CountRequest())


def edge_filter(conditions: Sequence[Condition], hidden: set[str], missing: str = "") -> "Filter":
    """Conditions as the engine wants them; `missing` is a field that must be absent."""
    from qdrant_edge import Filter, HasIdCondition, IsEmptyCondition

    must: list[Any] = [_field(condition) for condition in conditions]
    if missing:
        must.append(IsEmptyCondition(missing))
    return Filter(must=must, must_not=[HasIdCondition(hidden)] if hidden else None)  # type: ignore[arg-type]


def _field(condition: Condition) -> Any:
    from qdrant_edge import FieldCondition, MatchAny, MatchValue, RangeDateTime, RangeFloat

    if condition.values:
        one = len(condition.values) == 1
        match = MatchValue(condition.values[0]) if one else MatchAny(list(condition.values))  # type: ignore[arg-type]
        return FieldCondition(condition.field, match=match)
    if FIELDS[condition.field] == "datetime":
        window = RangeDateTime(gt=condition.above, lt=condition.below)  # type: ignore[arg-type]
    else:
        window = RangeFloat(gt=condition.above, lt=condition.below)  # type: ignore[arg-type,assignment]
    return FieldCondition(condition.field, range=window)


def points(shard: "EdgeShard", chosen: "Filter | None" = None, *, whole: bool = False) -> Iterator[list[Any]]:
    """Pages of records: with their word vectors and tenant, or `whole` with all vectors and payload."""
    from qdrant_edge import PayloadSelector, ScrollRequest

    offset: Any = None
    while True:
        page, offset = shard.scroll(
            ScrollRequest(
                offset=offset,
                limit=_PAGE,
                filter=chosen,
                with_payload=True if whole else PayloadSelector.Include(["tenant"]),
                with_vector=True if whole else [WORDS],
            )
        )
        if page:
            yield page
        if offset is None:
            return
