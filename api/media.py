"""Stored media: for the player byte ranges and thumbnails, and only for the tenant that brought or made them."""

import mimetypes
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import FileResponse

from api.deps import BenchDep, HostDep
from api.ownership import name_of
from knowledge.library import LIBRARY
from tools.errors import Conflict, NotFound

router = APIRouter(prefix="/api/v1/media", tags=["media"])

Sha = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
_SHOWN = ("video/", "audio/", "image/jpeg", "image/png", "image/webp", "image/gif", "application/pdf", "text/plain")
_PICTURES = (".jpg", ".png", ".webp")


class Kept(BaseModel):
    """What the caller sent to be watched or had made, and what no knowledge base has as a source."""

    sha256: str
    name: str
    size: int = Field(description="Bytes.")


@router.get("")
async def kept(bench: BenchDep) -> list[Kept]:
    """The caller's uploads and what was made for them; the sources of knowledge bases stand with those."""
    library = bench.part(LIBRARY)
    sources = {each.sha256 for each in await library.sources(bench.tenant)}
    found = list[Kept]()
    for sha, name in (await library.artefacts(bench.tenant)).items():
        # what is being forgotten elsewhere at this moment is not there any more
        with suppress(NotFound):
            if sha not in sources:
                found.append(Kept(sha256=sha, name=name, size=(await bench.media.get(sha)).size))
    return found


@router.get("/{sha}")
async def medium(sha: Sha, bench: BenchDep) -> FileResponse:
    """The medium itself; answers byte ranges, so that a player can seek."""
    name = await name_of(bench, sha)
    return _file_response(str(await bench.media.local(sha)), name)


@router.delete("/{sha}")
async def forget(sha: Sha, host: HostDep, bench: BenchDep) -> dict[str, bool]:
    """Forget an upload, or what was made, with its frames and timeline; a source is forgotten at its knowledge base."""
    library = bench.part(LIBRARY)
    await name_of(bench, sha)
    if bases := sorted({each.knowledge_base for each in await library.sources(bench.tenant) if each.sha256 == sha}):
        raise Conflict(
            f"{sha[:12]!r} is a source of the knowledge base {bases[0]!r}.",
            remedy=f"Forget it there: DELETE /api/v1/knowledge/sources/{sha}?knowledge_base={bases[0]}.",
        )
    await library.disown(bench.tenant, sha)
    # whoever still watches it would bring its pictures back
    await host.runs.cancel_on(sha, tenant=bench.tenant)
    if sha not in await library.held():
        await bench.media.delete(sha)
    return {"deleted": True}


@router.get("/{sha}/{derived:path}")
async def derived(sha: Sha, derived: str, bench: BenchDep) -> FileResponse:
    """A picture that was made from a medium, such as `frames/12.480.jpg`."""
    await name_of(bench, sha)
    if not derived.endswith(_PICTURES):
        raise NotFound(f"There is no picture {derived[:80]!r}.", remedy="Use the `image` of a segment.")
    return _file_response(str(await bench.media.local(f"{sha}/{derived}")), PurePosixPath(derived).name)


def _file_response(path: str, name: str) -> FileResponse:
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    # whatever a browser could run as a page is only offered as a download
    shown = guessed.startswith(_SHOWN)
    return FileResponse(
        path,
        media_type=guessed if shown else "application/octet-stream",
        filename=name,
        content_disposition_type="inline" if shown else "attachment",
        headers={
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "private, max-age=3600",
        },
    )
