"""The segment store on a Qdrant server or cluster: the same payload and vectors as the embedded engine."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from knowledge.fusion import CANDIDATES, closer, fuse
from knowledge.schema import (
    DENSE,
    FIELDS,
    WINDOWS,
    WORDS,
    Condition,
    conditions,
    of_ids,
    of_tenant,
    owner,
    payload,
    point_id,
)
from knowledge.segment import Segment
from knowledge.sparse import document, question
from knowledge.store import Hit, Indexed, Query, Where
from knowledge.windows import readable
from tools.errors import EngineFailed, InvalidInput

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient
    from qdrant_client.models import Filter, PointStruct, SearchParams

_COLLECTION = "segments"
_BATCH = 256
_SECONDS = 60


class ServerStore:
    """A `SegmentStore` in one collection of all tenants; made by `open_server`."""

    def __init__(self, client: "AsyncQdrantClient", dimensions: int) -> None:
        self._client = client
        self._dimensions = dimensions

    async def prepare(self) -> None:
        """Make the collection and its indexes where they are not there yet."""
        from qdrant_client.models import (
            Distance,
            HnswConfigDiff,
            Modifier,
            MultiVectorComparator,
            MultiVectorConfig,
            SparseVectorParams,
            VectorParams,
        )

        if await self._client.collection_exists(_COLLECTION):
            await self._check_dimensions()
        else:
            await self._client.create_collection(
                _COLLECTION,
                vectors_config={
                    DENSE: VectorParams(size=self._dimensions, distance=Distance.COSINE),
                    WINDOWS: VectorParams(
                        size=self._dimensions,
                        distance=Distance.COSINE,
                        multivector_config=MultiVectorConfig(comparator=MultiVectorComparator.MAX_SIM),
                        # only compared for what was found already, so they need no graph
                        hnsw_config=HnswConfigDiff(m=0),
                    ),
                },
                sparse_vectors_config={WORDS: SparseVectorParams(modifier=Modifier.IDF)},
            )
        for name, schema in _indexes().items():
            await self._client.create_payload_index(_COLLECTION, name, schema)

    async def _check_dimensions(self) -> None:
        found = await self._client.get_collection(_COLLECTION)
        vectors = found.config.params.vectors
        size = vectors[DENSE].size if isinstance(vectors, dict) else 0
        if size != self._dimensions:
            raise InvalidInput(
                f"The collection {_COLLECTION!r} holds vectors of {size} dimensions, the embedding model makes"
                f" {self._dimensions}.",
                remedy="Choose the model it was made with, or another server.",
            )

    async def upsert(self, tenant: str, segments: Sequence[Indexed]) -> None:
        owner(tenant)
        if any(each.vector.shape != (self._dimensions,) for each in segments):
            raise InvalidInput(f"Not all vectors have {self._dimensions} dimensions.")
        for first in range(0, len(segments), _BATCH):
            points = await asyncio.to_thread(_points, tenant, segments[first : first + _BATCH])
            await self._client.upsert(_COLLECTION, points, wait=True)

    async def search(self, tenant: str, query: Query) -> list[Hit]:
        from qdrant_client.models import Filter, HasIdCondition, IdfCorpusParams, SearchParams, SparseVector

        both = query.vector is not None and query.words is not None
        if query.vector is None and query.words is None:
            raise InvalidInput("The query has neither a vector nor words.", remedy="Give one, or use `scroll`.")
        if query.vector is not None and query.vector.shape != (self._dimensions,):
            raise InvalidInput(f"A vector of shape {query.vector.shape} does not fit {self._dimensions} dimensions.")
        depth = max(query.limit, CANDIDATES) if both else query.limit
        chosen = _filter(conditions(tenant, query.where))
        found: list[Any] = []
        dense, sparse = dict[str, float](), dict[str, float]()
        if query.vector is not None:
            vector = query.vector.tolist()
            found = await self._list(vector, DENSE, chosen, depth)
            dense = _scores(found)
            if both and dense:
                only = Filter(must=[HasIdCondition(has_id=list(dense))])
                dense = closer(dense, _scores(await self._list([vector], WINDOWS, only, depth)))
        if query.words is not None and (terms := await asyncio.to_thread(question, query.words)).size:
            asked = SparseVector(indices=terms.tolist(), values=[1.0] * len(terms))
            # the tenant's own words alone say how rare a word is
            own = IdfCorpusParams(corpus=_filter(of_tenant(tenant)))
            named = await self._list(asked, WORDS, chosen, depth, SearchParams(idf=own))
            found, sparse = [*found, *named], _scores(named)
        segments = {str(each.id): _segment(each) for each in found}
        return [Hit(segment=segments[id], score=score) for id, score in fuse(dense, sparse)[: query.limit]]

    async def _list(
        self, vector: Any, using: str, chosen: "Filter", depth: int, params: "SearchParams | None" = None
    ) -> list[Any]:
        found = await self._client.query_points(
            _COLLECTION,
            query=vector,
            using=using,
            query_filter=chosen,
            limit=depth,
            with_payload=["segment"],
            search_params=params,
        )
        return found.points

    async def scroll(
        self, tenant: str, where: Where, *, order: Literal["start", "page"] = "start", limit: int = 1_000
    ) -> list[Segment]:
        from qdrant_client.models import IsEmptyCondition, OrderBy, PayloadField

        wanted = conditions(tenant, where)
        ordered, _ = await self._client.scroll(
            _COLLECTION, _filter(wanted), limit=limit, order_by=OrderBy(key=order), with_payload=["segment", order]
        )
        # equal times in the order of their ids, as the embedded engine has them
        ordered.sort(key=lambda each: ((each.payload or {})[order], str(each.id)))
        if len(ordered) < limit:
            without = IsEmptyCondition(is_empty=PayloadField(key=order))
            rest, _ = await self._client.scroll(
                _COLLECTION, _filter(wanted, [without]), limit=limit - len(ordered), with_payload=["segment"]
            )
            ordered += sorted(rest, key=lambda each: str(each.id))
        return [_segment(each) for each in ordered]

    async def get(self, tenant: str, ids: Sequence[str]) -> list[Segment]:
        if not ids:
            return []
        chosen = _filter(of_ids(tenant, ids))
        page, _ = await self._client.scroll(_COLLECTION, chosen, limit=10 * len(ids), with_payload=["segment"])
        found = {str(segment.id): segment for segment in map(_segment, page)}
        return [found[id] for id in ids if id in found]

    async def count(self, tenant: str, where: Where) -> int:
        answer = await self._client.count(_COLLECTION, _filter(conditions(tenant, where)), exact=True)
        return answer.count

    async def facet(
        self, tenant: str, field: Literal["source", "modality", "knowledge_base"], where: Where
    ) -> dict[str, int]:
        chosen = _filter(conditions(tenant, where))
        answer = await self._client.facet(_COLLECTION, field, facet_filter=chosen, limit=1_000_000, exact=True)
        return {str(hit.value): hit.count for hit in answer.hits}

    async def delete(self, tenant: str, where: Where) -> None:
        owner(tenant)
        if where == Where():
            raise InvalidInput("Deleting needs at least one condition.", remedy="Name a source or a knowledge base.")
        await self._client.delete(_COLLECTION, _filter(conditions(tenant, where)), wait=True)

    async def close(self) -> None:
        await self._client.close()


async def open_server(url: str, key: str, dimensions: int) -> ServerStore:
    """The store on the server at `url`; `:memory:` is a small stand-in inside this process, for tests."""
    from qdrant_client import AsyncQdrantClient
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    local = url == ":memory:"
    client = AsyncQdrantClient(":memory:") if local else AsyncQdrantClient(url, api_key=key or None, timeout=_SECONDS)
    store = ServerStore(client, dimensions)
    try:
        await store.prepare()
    except (ResponseHandlingException, UnexpectedResponse) as error:
        await client.close()
        raise EngineFailed(
            f"The Qdrant server at {url!r} cannot be used: {error}",
            remedy="Check SUTRADHAR_STORE__URL and SUTRADHAR_STORE__KEY, or unset them to use the embedded engine.",
        ) from error
    return store


def _scores(points: list[Any]) -> dict[str, float]:
    return {str(each.id): each.score for each in points}


def _segment(record: Any) -> Segment:
    return Segment.model_validate_json(record.payload["segment"])


def _points(tenant: str, segments: Sequence[Indexed]) -> list["PointStruct"]:
    from qdrant_client.models import PointStruct, SparseVector

    points = {}
    for each in segments:
        terms, weights = document(readable(each.segment))
        words = SparseVector(indices=terms.tolist(), values=weights.tolist())
        id = point_id(tenant, each.segment)
        vectors: dict[str, Any] = {DENSE: each.vector.tolist(), WORDS: words}
        if each.windows is not None and len(each.windows):
            vectors[WINDOWS] = each.windows.tolist()
        points[id] = PointStruct(id=id, vector=vectors, payload=payload(tenant, each.segment))
    return list(points.values())


def _indexes() -> dict[str, Any]:
    from qdrant_client.models import (
        DatetimeIndexParams,
        FloatIndexParams,
        IntegerIndexParams,
        KeywordIndexParams,
    )

    params: dict[str, Any] = {
        "tenant": KeywordIndexParams(type="keyword", is_tenant=True),
        "keyword": KeywordIndexParams(type="keyword"),
        "integer": IntegerIndexParams(type="integer"),
        "float": FloatIndexParams(type="float"),
        "datetime": DatetimeIndexParams(type="datetime"),
    }
    return {name: params[kind] for name, kind in FIELDS.items()}


def _filter(wanted: Sequence[Condition], more: Sequence[Any] = ()) -> "Filter":
    from qdrant_client.models import Filter

    return Filter(must=[*(_field(condition) for condition in wanted), *more])


def _field(condition: Condition) -> Any:
    from qdrant_client.models import DatetimeRange, FieldCondition, MatchAny, Range

    if condition.values:
        return FieldCondition(key=condition.field, match=MatchAny(any=list(condition.values)))
    kind: Any = DatetimeRange if FIELDS[condition.field] == "datetime" else Range
    return FieldCondition(key=condition.field, range=kind(gt=condition.above, lt=condition.below))
