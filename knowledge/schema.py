"""How a segment lies in a collection: the payload fields, and a `Where` as conditions on them. Both engines use it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Literal
from uuid import UUID

from knowledge.segment import Segment, utc
from knowledge.store import Where
from tools.errors import InvalidInput

DENSE = "text"
WORDS = "words"
WINDOWS = "windows"

FieldKind = Literal["tenant", "keyword", "integer", "float", "datetime"]

FIELDS: dict[str, FieldKind] = {
    "tenant": "tenant",
    "id": "keyword",
    "source": "keyword",
    "modality": "keyword",
    "knowledge_base": "keyword",
    "language": "keyword",
    "page": "integer",
    "start": "float",
    "end": "float",
    "recorded_from": "datetime",
    "recorded_to": "datetime",
}
"""The indexed fields. `end` and `recorded_to` are exclusive, just behind the start for what has no duration."""


@dataclass(frozen=True)
class Condition:
    """`values`: the field is one of them. `below`/`above`: the field is strictly smaller or greater."""

    field: str
    values: tuple[str | int, ...] = ()
    below: float | str | None = None
    above: float | str | None = None


def point_id(tenant: str, segment: Segment) -> str:
    """The same content in two knowledge bases, or of two tenants, is two points: neither may replace the other."""
    key = "\x1f".join((tenant, segment.knowledge_base, str(segment.id))).encode()
    return str(UUID(bytes=blake2b(key, digest_size=16).digest()))


def payload(tenant: str, segment: Segment) -> dict[str, Any]:
    """The fields of a point; the segment itself is kept as JSON, so that it comes back exactly as it was."""
    fields: dict[str, Any] = {
        "tenant": tenant,
        "id": str(segment.id),
        "source": segment.source,
        "modality": segment.modality,
        "knowledge_base": segment.knowledge_base,
        "language": segment.language,
        "page": segment.page,
        "segment": segment.model_dump_json(exclude_none=True),
    }
    start = segment.start if segment.start is not None else segment.end
    if start is not None:
        end = segment.end if segment.end is not None else start
        fields |= {"start": start, "end": max(end, math.nextafter(start, math.inf))}
    recorded = segment.recorded_from or segment.recorded_to
    if recorded is not None:
        until = max(segment.recorded_to or recorded, recorded + timedelta(microseconds=1))
        fields |= {"recorded_from": _stamp(recorded), "recorded_to": _stamp(until)}
    return {name: value for name, value in fields.items() if value is not None}


def conditions(tenant: str, where: Where) -> list[Condition]:
    """The tenant's condition and those of `where`; all must hold. Raises `InvalidInput` for an empty tenant."""
    found = of_tenant(tenant)
    lists: dict[str, list[Any]] = {
        "knowledge_base": where.knowledge_bases,
        "source": where.sources,
        "modality": where.modalities,
        "language": where.languages,
        "page": where.pages,
        "id": where.ids,
    }
    found += [Condition(name, tuple(values)) for name, values in lists.items() if values]
    if where.start is not None:
        found.append(Condition("end", above=where.start))
    if where.end is not None:
        found.append(Condition("start", below=where.end))
    if where.recorded_from is not None:
        found.append(Condition("recorded_to", above=_stamp(where.recorded_from)))
    if where.recorded_to is not None:
        found.append(Condition("recorded_from", below=_stamp(where.recorded_to)))
    return found


def of_tenant(tenant: str) -> list[Condition]:
    """The condition that no query goes without."""
    return [Condition("tenant", (owner(tenant),))]


def of_ids(tenant: str, ids: Sequence[str]) -> list[Condition]:
    """The tenant's segments with these ids."""
    return [*of_tenant(tenant), Condition("id", tuple(ids))]


def owner(tenant: str) -> str:
    """The tenant, which is never empty: without it a query would see everybody's segments."""
    if not tenant.strip():
        raise InvalidInput("No tenant was given.", remedy="Every call to the store names its tenant.", param="tenant")
    return tenant


def _stamp(value: datetime) -> str:
    return utc(value).isoformat()
