"""Which video is meant, and that the one who asks has it."""

from collections.abc import Sequence

from knowledge.library import LIBRARY, Source
from tools.bench import Bench
from tools.errors import InvalidInput, NotFound
from tools.media.store import Media

_WATCHED = ("video", "audio")


async def find_medium(bench: Bench, question: str, sources: Sequence[str], bases: Sequence[str]) -> Media:
    """The one that was named by its hash or its name, or the only one there is.

    Raises `NotFound` for one that the tenant does not have, `InvalidInput` where several could be meant.
    """
    if sources:
        return await _owned(bench, sources[0])
    library = bench.part(LIBRARY)
    found = [each for each in await library.sources(bench.tenant) if each.kind in _WATCHED]
    found = [each for each in found if not bases or each.knowledge_base in bases]
    once = list({each.sha256: each for each in found}.values())
    named = [each for each in once if _named(each, question)]
    chosen = named or once
    if not chosen:
        raise InvalidInput("There is no video yet.", remedy="Upload one, or name its sha256 in `media`.")
    if len(chosen) > 1:
        names = ", ".join(repr(each.name) for each in chosen[:5])
        raise InvalidInput(f"Several videos could be meant: {names}.", remedy="Name one, or its sha256 in `media`.")
    media = await bench.media.get(chosen[0].sha256)
    return media.model_copy(update={"name": chosen[0].name})


def _named(source: Source, question: str) -> bool:
    name, asked = source.name.casefold(), question.casefold()
    return name in asked or (len(stem := name.rsplit(".", 1)[0]) > 3 and stem in asked)


async def _owned(bench: Bench, sha: str) -> Media:
    """A hash is not a secret: content of another tenant is as absent as content that nobody has."""
    library = bench.part(LIBRARY)
    name = await library.owned(bench.tenant, sha)
    if name is None:
        name = next((each.name for each in await library.sources(bench.tenant) if each.sha256 == sha), None)
    if name is None:
        raise NotFound(f"There is no medium {sha[:80]!r}.", remedy="Upload or ingest it first.", param="media")
    return (await bench.media.get(sha)).model_copy(update={"name": name})
