"""The model hub: it tells a file's digest before anything is downloaded."""

from tools.sources import Part, SourceFailed
from tools.sources.download import Remote

_SHA256_LENGTH = 64


def find(part: Part, *, endpoint: str | None) -> Remote:
    """Where the file is at this revision, and its digest where the hub knows it. Blocking; raises `SourceFailed`.

    `hf_hub_download` starts again after an interruption, so only its lookup is used and the bytes are fetched by us.
    """
    import httpx
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import GatedRepoError
    from huggingface_hub.utils._headers import build_hf_headers

    name = part.name.removeprefix("datasets/")
    kind = None if name == part.name else "dataset"
    url = hf_hub_url(name, part.held_by, repo_type=kind, revision=part.version, endpoint=endpoint)
    try:
        told = get_hf_file_metadata(url, endpoint=endpoint)
    except GatedRepoError as error:
        raise SourceFailed(
            f"{part.name} asks its users to accept a licence: do it on its page on the hub, then `hf auth login`"
        ) from error
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise SourceFailed(f"the hub cannot give {part.name}: {str(error).splitlines()[0]}") from error
    revision = told.commit_hash or part.version
    pinned = hf_hub_url(name, part.held_by, repo_type=kind, revision=revision, endpoint=endpoint)
    # large files carry their sha256; small ones only git's own hash, which is of something else
    digest = ("sha256", told.etag) if told.etag and len(told.etag) == _SHA256_LENGTH else None
    return Remote(pinned, part.held_by.rpartition("/")[2], digest, told.size, build_hf_headers())
