"""Stored media for the player: byte ranges, thumbnails, and only for the tenant that has them as a source."""

import mimetypes
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import FileResponse

from api.deps import BenchDep
from api.ownership import name_of
from tools.errors import NotFound

router = APIRouter(prefix="/api/v1/media", tags=["media"])

Sha = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
_SHOWN = ("video/", "audio/", "image/jpeg", "image/png", "image/webp", "image/gif", "application/pdf", "text/plain")
_PICTURES = (".jpg", ".png", ".webp")


@router.get("/{sha}")
async def medium(sha: Sha, bench: BenchDep) -> FileResponse:
    """The medium itself; answers byte ranges, so that a player can seek."""
    name = await name_of(bench, sha)
    return _file_response(str(await bench.media.local(sha)), name)


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
