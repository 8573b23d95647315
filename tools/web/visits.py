"""What was read of the web and when: kept in the media store, so that nothing is fetched twice in a day."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from urllib.robotparser import RobotFileParser

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from yarl import URL

from tools.bench import Bench
from tools.errors import Busy, EngineFailed, Forbidden, NotFound, SutradharError
from tools.web.addresses import check
from tools.web.fetching import DOCUMENTS, READABLE, Fetched, Order, Rules, fetch

_ROBOTS = Order(accept=(*READABLE, "text/x-robots", "application/octet-stream"))
_PAGES = Order(accept=(*READABLE, *DOCUMENTS))
_RULES_BYTES = 512_000


class Visit(BaseModel):
    """One address as it was read at a time: `media` are the bytes, `url` where the redirects ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: str
    url: str
    media: str
    media_type: str
    charset: str
    modified: AwareDatetime | None
    at: AwareDatetime

    @property
    def is_document(self) -> bool:
        """Whether its bytes are for the reader of documents."""
        return self.media_type in DOCUMENTS


async def visit(bench: Bench, address: str, *, given: bool = False) -> Visit:
    """Read an address, or what was read of it lately; `given` by a person it is read whatever robots.txt says."""
    rules = Rules.of(bench.settings)
    address = str(check(address, allow=rules.allow).url)
    kept = await _kept(bench, address)
    if kept is not None:
        return kept
    if rules.web.robots and not given and not await _permitted(bench, address, rules):
        raise Forbidden(
            f"{URL(address).host!r} asks programs not to read this page (robots.txt).",
            remedy="Give the address yourself, or unset SUTRADHAR_WEB__ROBOTS.",
        )
    return await _keep(bench, address, await fetch(address, rules, _PAGES))


async def _permitted(bench: Bench, address: str, rules: Rules) -> bool:
    """What the site's robots.txt says; RFC 9309: one that is not there permits all, one that fails nothing."""
    where = str(URL(address).origin() / "robots.txt")
    try:
        told = await _kept(bench, where) or await _keep(bench, where, await fetch(where, rules, _ROBOTS))
    except (EngineFailed, Busy) as error:
        raise EngineFailed(f"{URL(address).host!r} does not say what may be read: {error.message}") from error
    except NotFound:
        return True
    except SutradharError as error:
        # RFC 9309: any other refusal of the file itself means that there are no rules; a refused address is refused
        if isinstance(error, Forbidden) and "lets nobody" not in error.message:
            raise
        return True
    parser = RobotFileParser()
    parser.parse((await bench.media.read(told.media))[:_RULES_BYTES].decode("utf-8", "replace").splitlines())
    return parser.can_fetch(rules.web.user_agent, address)


async def _kept(bench: Bench, address: str) -> Visit | None:
    try:
        kept = Visit.model_validate_json(await bench.media.read(f"{_place(bench, address)}/visit.json"))
        await bench.media.get(kept.media)
    except (NotFound, ValidationError):
        return None
    age = datetime.now(UTC) - kept.at
    return kept if age < timedelta(hours=bench.settings.web.fresh_hours) else None


async def _keep(bench: Bench, address: str, fetched: Fetched) -> Visit:
    media = await bench.media.put(_once(fetched.data), name=_name(fetched))
    kept = Visit(
        asked=address,
        url=fetched.url,
        media=media.sha256,
        media_type=fetched.media_type,
        charset=fetched.charset or "",
        modified=fetched.modified,
        at=fetched.at,
    )
    await bench.media.derive(_place(bench, address), "visit.json", kept.model_dump_json().encode())
    return kept


def _place(bench: Bench, address: str) -> str:
    """A folder of the media store for what a tenant read at an address: nobody is told what another one reads."""
    return hashlib.sha256(f"visit\x1f{bench.tenant}\x1f{address}".encode()).hexdigest()


def _name(fetched: Fetched) -> str:
    url = URL(fetched.url)
    stem = PurePosixPath(url.path).stem or "index"
    suffix = DOCUMENTS.get(fetched.media_type) or (".html" if "html" in fetched.media_type else ".txt")
    return f"{url.host}-{stem}"[:150] + suffix


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
