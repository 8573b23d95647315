"""A hash is not a secret: a caller reaches only the media that their own tenant brought or made."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from knowledge.library import LIBRARY
from tools.bench import Bench
from tools.errors import NotFound

_REFERENCE = re.compile(r"([0-9a-f]{64})(/.*)?", re.DOTALL)


async def name_of(bench: Bench, sha: str) -> str:
    """What the tenant calls this content; raises `NotFound` alike for unknown and for another tenant's."""
    library = bench.part(LIBRARY)
    for source in await library.sources(bench.tenant):
        if source.sha256 == sha:
            return source.name
    if (name := await library.owned(bench.tenant, sha)) is not None:
        return name
    raise NotFound(f"There is no medium {sha!r}.", remedy="Upload or ingest it first.")


async def check_references(bench: Bench, arguments: BaseModel) -> None:
    """Raise `NotFound` when a tool's arguments name content that the tenant does not have."""
    for sha in set(_references(arguments.model_dump())):
        await name_of(bench, sha)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str) and (found := _REFERENCE.fullmatch(value)):
        yield found[1]
    elif isinstance(value, dict):
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list | tuple | set):
        for each in value:
            yield from _references(each)
