"""The embedded engine, as it runs in its own process: a newest part that takes points, and sealed parts behind it.

`store.json` names the parts; what it does not name is the rest of an interrupted step and is removed. Points are made
durable by the newest part's log. What is taken away from a sealed part is noted in `deleted.jsonl` until the part has
it on disk.
"""

import fcntl
import json
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from knowledge.fusion import CANDIDATES, best, closer, fuse
from knowledge.optimiser import STATISTICS
from knowledge.parts import Part, create, edge_filter, load, points, size
from knowledge.schema import DENSE, WINDOWS, WORDS, Condition, conditions, of_ids, payload, point_id
from knowledge.segment import Segment
from knowledge.sparse import Rarity, document, question
from knowledge.store import Where
from knowledge.windows import readable
from tools.errors import Conflict, InvalidInput

_LOCK_SECONDS = 5.0


class EmbeddedEngine:
    """Called by one thread; `knowledge.embedded.EmbeddedStore` is the other end."""

    def __init__(self, folder: str, dimensions: int, seal_points: int, *, clean: bool = True) -> None:
        """With `clean` nobody else is at work in the folder; a restart beside a running optimiser must leave it be."""
        self._folder = Path(folder)
        self._dimensions = dimensions
        self._seal_points = seal_points
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _own(self._folder / "lock")
        self._rarity = Rarity()
        names = self._manifest()
        self._remove_leftovers(names, everything=clean)
        if not names:
            names = [f"{1:06d}"]
            create(self._folder / names[0], self._dimensions, log=True).close()
            self._write_manifest(names)
        self._parts = [load(self._folder / name, optimised=name.endswith("o")) for name in names]
        self._replay()
        for part in self._parts:
            self._tally(part)
        self._settle()

    # what is on disk

    def _manifest(self) -> list[str]:
        file = self._folder / "store.json"
        if file.exists():
            written = json.loads(file.read_text())
            if written["dimensions"] != self._dimensions:
                raise InvalidInput(
                    f"The store holds vectors of {written['dimensions']} dimensions, the embedding model makes"
                    f" {self._dimensions}.",
                    remedy="Choose the model it was made with, or ingest into another home.",
                )
            return list(written["parts"])
        return []

    def _write_manifest(self, names: list[str]) -> None:
        new = self._folder / "store.json.new"
        new.write_text(json.dumps({"version": 1, "dimensions": self._dimensions, "parts": names}))
        new.replace(self._folder / "store.json")

    def _remove_leftovers(self, names: list[str], *, everything: bool) -> None:
        """What no step finished: this process's own unlisted parts, and with `everything` the optimiser's too."""
        for folder in self._folder.iterdir():
            if folder.is_dir() and folder.name not in names and (everything or folder.name.isdigit()):
                shutil.rmtree(folder)

    def _tally(self, part: Part) -> None:
        """Count the words of a part, which the optimiser has done unless something was deleted from it since."""
        statistics = self._folder / part.name / STATISTICS
        dumped = json.loads(statistics.read_text()) if statistics.exists() else {}
        part.points = size(part.shard)
        if part.points != sum(segments for segments, _, _ in dumped.values()):
            counted = Rarity()
            for page in points(part.shard):
                _count(counted, page)
            dumped = counted.dump()
            if part.optimised:
                new = statistics.with_suffix(".new")
                new.write_text(json.dumps(dumped))
                new.replace(statistics)
        self._rarity.merge(dumped)

    def _replay(self) -> None:
        journal = self._folder / "deleted.jsonl"
        by_name = {part.name: part for part in self._parts}
        for line in journal.read_text().splitlines() if journal.exists() else []:
            # the last line may be cut off: nobody was told that it was done
            if line.endswith("]}"):
                entry = json.loads(line)
                # a part that was optimised since then has a new name and never got these points
                for name in (entry["part"], f"{entry['part']}o"):
                    if name in by_name:
                        self._take_away(by_name[name], entry["ids"])
        for part in self._parts[:-1]:
            part.shard.flush()
        journal.write_text("")
        self._journal = journal.open("a", encoding="utf-8")

    def _settle(self) -> None:
        """Points that were replaced when the process died may still be in an older part too."""
        for page in points(self._newest.shard):
            self._forget_older([str(record.id) for record in page])

    @property
    def _newest(self) -> Part:
        return self._parts[-1]

    # writing

    def upsert(self, tenant: str, segments: list[str], vectors: NDArray[np.float32], windows: list[int]) -> bool:
        """Write segments (as JSON); returns whether there is work for the optimiser now.

        `vectors` are those of the texts, then those of each text's windows, of which `windows` says how many.
        """
        from qdrant_edge import UpdateOperation

        if vectors.shape != (len(segments) + sum(windows), self._dimensions):
            raise InvalidInput(
                f"Vectors {vectors.shape} do not fit {len(segments)} segments and {self._dimensions} dimensions."
            )
        read = [Segment.model_validate_json(text) for text in segments]
        pieces = np.split(vectors[len(segments) :], np.cumsum(windows)[:-1])
        made = {
            point_id(tenant, each): self._point(tenant, each, vector, near)
            for each, vector, near in zip(read, vectors, pieces, strict=False)
        }
        known = self._records(self._newest, list(made))
        _count(self._rarity, known, -1)
        self._newest.shard.update(UpdateOperation.upsert_points([point for _, point in made.values()]))
        self._newest.points += len(made) - len(known)
        self._newest.sources |= {each.source for each in read}
        for terms, _ in made.values():
            self._rarity.add(tenant, terms)
        self._forget_older(list(made))
        if self._newest.points >= self._seal_points:
            self._seal()
            return True
        return self._wants_spare

    def _point(
        self, tenant: str, segment: Segment, vector: NDArray[np.float32], windows: NDArray[np.float32]
    ) -> tuple[list[int], Any]:
        from qdrant_edge import Point, SparseVector

        terms, weights = document(readable(segment))
        words = SparseVector(terms.tolist(), weights.tolist())
        named: dict[str, Any] = {DENSE: vector.tolist(), WORDS: words}
        if len(windows):
            named[WINDOWS] = windows.tolist()
        return terms.tolist(), Point(point_id(tenant, segment), named, payload(tenant, segment))

    def _records(self, part: Part, ids: list[str]) -> list[Any]:
        from qdrant_edge import PayloadSelector

        found = part.shard.retrieve(list(ids), PayloadSelector.Include(["tenant"]), [WORDS])
        return [record for record in found if str(record.id) not in part.hidden]

    def _forget_older(self, ids: list[str]) -> None:
        for part in self._parts[:-1]:
            self._forget(part, self._records(part, ids))

    def _forget(self, part: Part, records: list[Any]) -> None:
        """Take records away from a part so that they stay away, whatever happens next."""
        if not records:
            return
        ids = [str(record.id) for record in records]
        if part is not self._newest:
            self._journal.write(json.dumps({"part": part.name, "ids": ids}) + "\n")
            self._journal.flush()
        _count(self._rarity, records, -1)
        self._take_away(part, ids)
        part.points -= len(ids)

    def _take_away(self, part: Part, ids: list[str]) -> None:
        from qdrant_edge import UpdateOperation

        if part.optimising:
            part.hidden |= set(ids)
        else:
            part.shard.update(UpdateOperation.delete_points(ids))  # type: ignore[arg-type]

    def delete(self, tenant: str, where: Where) -> None:
        """Forget every segment that matches."""
        for part, chosen in self._chosen(tenant, where):
            for page in list(points(part.shard, chosen)):
                self._forget(part, page)

    def _seal(self) -> None:
        name = self._next_name()
        if self._spare.exists():
            self._spare.rename(self._folder / name)
        else:
            create(self._folder / name, self._dimensions, log=True).close()
        self._parts.append(load(self._folder / name, optimised=False))
        self._write_manifest([each.name for each in self._parts])

    def _next_name(self) -> str:
        return f"{int(self._newest.name[:6]) + 1:06d}"

    @property
    def _spare(self) -> Path:
        """Where the optimiser lays out the next part ahead of time."""
        return self._folder / f"{self._next_name()}.spare"

    @property
    def _wants_spare(self) -> bool:
        return self._newest.points >= self._seal_points // 2 and not self._spare.exists()

    # optimising

    def waiting(self) -> list[str]:
        """Sealed parts that nobody has optimised yet."""
        return [part.name for part in self._parts[:-1] if not part.optimised]

    def spare(self) -> str:
        """The folder in which the next part should be laid out; empty when that is done or not yet needed."""
        return str(self._spare) if self._wants_spare else ""

    def freeze(self, name: str) -> None:
        """Leave a part's files alone from now on: a copy of them is being optimised."""
        self._named(name).optimising = True

    def thaw(self, name: str) -> None:
        """The optimiser failed: do to the part itself what was put off."""
        part = self._named(name)
        part.optimising, hidden, part.hidden = False, part.hidden, set()
        if hidden:
            self._take_away(part, sorted(hidden))

    def swap(self, name: str) -> None:
        """Serve the optimised copy of a part from now on.

        Raises `Conflict` when the part was not frozen all the while, because this process is a new one.
        """
        old = self._named(name)
        if not old.optimising:
            raise Conflict(f"Part {name} changed while it was being optimised.", remedy="It will be optimised again.")
        new = load(self._folder / f"{name}o", optimised=True)
        if old.hidden:
            self._take_away(new, sorted(old.hidden))
        new.points = old.points
        self._parts[self._parts.index(old)] = new
        self._write_manifest([each.name for each in self._parts])
        old.shard.close()

    def _named(self, name: str) -> Part:
        return next(part for part in self._parts if part.name == name)

    # reading

    def _chosen(self, tenant: str, where: Where, missing: str = "") -> list[tuple[Part, Any]]:
        """The parts that can hold what is looked for, each with its filter."""
        wanted: list[Condition] = conditions(tenant, where)
        sources = set(where.sources)
        return [
            (part, edge_filter(wanted, part.hidden, missing))
            for part in self._parts
            if not sources or part.sources & sources
        ]

    def search(
        self, tenant: str, where: Where, vector: NDArray[np.float32] | None, words: str | None, limit: int
    ) -> list[tuple[str, float]]:
        """The best matches as (segment in JSON, score)."""
        from qdrant_edge import Query, SparseVector

        depth = max(limit, CANDIDATES) if vector is not None and words is not None else limit
        chosen = self._chosen(tenant, where)
        homes: dict[str, Part] = {}
        dense, sparse = dict[str, float](), dict[str, float]()
        if vector is not None:
            if vector.shape != (self._dimensions,):
                raise InvalidInput(f"A vector of shape {vector.shape} does not fit {self._dimensions} dimensions.")
            dense = self._nearest(chosen, Query.Nearest(vector.tolist(), using=DENSE), depth, homes)
            if words is not None:
                dense = closer(dense, self._windows(vector, dense, homes))
        if words is not None and len(terms := question(words)):
            weights = self._rarity.weights(tenant, terms)
            rare = SparseVector(terms.tolist(), weights.tolist())
            sparse = self._nearest(chosen, Query.Nearest(rare, using=WORDS), depth, homes)
        return self._texts(fuse(dense, sparse)[:limit], homes)

    def _windows(
        self, vector: NDArray[np.float32], found: dict[str, float], homes: dict[str, Part]
    ) -> dict[str, float]:
        """How near the nearest window of each long text among these is."""
        from qdrant_edge import Filter, HasIdCondition, Query, QueryRequest

        query, scores = Query.Nearest(vector.tolist(), using=WINDOWS), dict[str, float]()
        for part in self._parts:
            if ids := {id for id in found if homes[id] is part}:
                only = Filter(must=[HasIdCondition(set(ids))])
                hits = part.shard.query(QueryRequest(len(ids), query=query, filter=only))
                scores |= {str(hit.id): hit.score for hit in hits}
        return scores

    def _nearest(
        self, chosen: list[tuple[Part, Any]], query: Any, limit: int, homes: dict[str, Part]
    ) -> dict[str, float]:
        from qdrant_edge import QueryRequest

        lists = []
        for part, filter in chosen:
            hits = part.shard.query(QueryRequest(limit, query=query, filter=filter))
            lists.append({str(hit.id): hit.score for hit in hits})
            homes.update(dict.fromkeys(lists[-1], part))
        return best(lists, limit)

    def _texts(self, order: list[tuple[str, float]], homes: dict[str, Part]) -> list[tuple[str, float]]:
        from qdrant_edge import PayloadSelector

        ids: dict[str, list[str]] = {}
        for id, _ in order:
            ids.setdefault(homes[id].name, []).append(id)
        texts: dict[str, str] = {}
        for name, wanted in ids.items():
            found = self._named(name).shard.retrieve(wanted, PayloadSelector.Include(["segment"]), False)  # type: ignore[arg-type]
            texts |= {str(record.id): _of(record, "segment") for record in found}
        return [(texts[id], score) for id, score in order]

    def scroll(self, tenant: str, where: Where, order: Literal["start", "page"], limit: int) -> list[str]:
        """Segments in order; those without a time (or page) come last."""
        from qdrant_edge import Direction, OrderBy, PayloadSelector, ScrollRequest

        only = PayloadSelector.Include(["segment", order])
        rows: list[tuple[float, str, str]] = []
        for part, filter in self._chosen(tenant, where):
            by = OrderBy(order, Direction.Asc)
            page, _ = part.shard.scroll(ScrollRequest(limit=limit, filter=filter, with_payload=only, order_by=by))
            rows += [(_of(each, order), str(each.id), _of(each, "segment")) for each in page]
        if len(rows) < limit:
            for part, filter in self._chosen(tenant, where, missing=order):
                page, _ = part.shard.scroll(ScrollRequest(limit=limit, filter=filter, with_payload=only))
                rows += [(float("inf"), str(each.id), _of(each, "segment")) for each in page]
        return [text for _, _, text in sorted(rows)[:limit]]

    def get(self, tenant: str, ids: list[str]) -> list[str]:
        """The tenant's own among these, in the order asked for."""
        from qdrant_edge import PayloadSelector, ScrollRequest

        texts: dict[str, str] = {}
        for part in self._parts:
            chosen = edge_filter(of_ids(tenant, ids), part.hidden)
            only = PayloadSelector.Include(["id", "segment"])
            page, _ = part.shard.scroll(ScrollRequest(limit=10 * len(ids), filter=chosen, with_payload=only))
            texts |= {_of(record, "id"): _of(record, "segment") for record in page}
        return [texts[id] for id in ids if id in texts]

    def count(self, tenant: str, where: Where) -> int:
        from qdrant_edge import CountRequest

        return sum(part.shard.count(CountRequest(True, filter)) for part, filter in self._chosen(tenant, where))

    def facet(self, tenant: str, field: str, where: Where) -> dict[str, int]:
        from qdrant_edge import FacetRequest

        counts: dict[str, int] = {}
        for part, filter in self._chosen(tenant, where):
            for hit in part.shard.facet(FacetRequest(field, 1_000_000, True, filter)).hits:
                counts[str(hit.value)] = counts.get(str(hit.value), 0) + hit.count
        return counts

    def close(self) -> None:
        """Write everything out, so that the next start has nothing to replay."""
        for part in self._parts:
            part.shard.flush()
            part.shard.close()
        if not any(part.hidden for part in self._parts):
            self._journal.truncate(0)
        self._journal.close()
        self._lock.close()


def _count(rarity: Rarity, records: Iterable[Any], sign: int = 1) -> None:
    for record in records:
        rarity.add(record.payload["tenant"], record.vector[WORDS].indices, sign)


def _of(record: Any, field: str) -> Any:
    return record.payload[field]


def _own(file: Path) -> Any:
    """Be the only process that has this store open."""
    lock = file.open("a")
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            # the child of a host that was just killed needs a moment to go
            if time.monotonic() > deadline:
                raise Conflict(
                    f"Another process has the store {str(file.parent)!r} open.",
                    remedy="Talk to the host that runs there, stop it, or use another home (`--home`).",
                ) from error
            time.sleep(0.05)
        else:
            return lock
