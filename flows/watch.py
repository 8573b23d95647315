"""The watched folder: each file once by its content, when it has stopped growing; one that fails is not tried again."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from prefect import flow
from prefect.artifacts import acreate_table_artifact
from prefect.logging import get_run_logger
from pydantic import BaseModel, ConfigDict, TypeAdapter

from flows.client import Flows, open_flows
from flows.place import bench_for
from flows.server import find_prefect
from tools.bench import Bench
from tools.errors import NotInstalled, SutradharError
from tools.settings import Settings

DEFAULT_BASE = "default"
_SETTLED_SECONDS = 5.0
_AT_ONCE = 50
_PARTIAL = (".part", ".tmp", ".crdownload", ".swp")


class Watched(BaseModel):
    """What is known of one file of the folder."""

    model_config = ConfigDict(frozen=True)

    size: int
    changed: float
    state: Literal["growing", "submitted", "done", "failed"] = "growing"
    media: str = ""
    run: str = ""
    note: str = ""


_LEDGER = TypeAdapter(dict[str, Watched])


@flow(name="watch", flow_run_name="watch", description="Ingest new and changed files of the watched folder.")
async def watch_folder(tenant: str = "local") -> dict[str, int]:
    """Look at the folder once; returns how many files there are by state."""
    async with bench_for(tenant) as bench:
        server = find_prefect(bench.settings)
        if server is None:
            raise NotInstalled("No Prefect server runs for this home.", remedy="Start it: `sutradhar up`.")
        async with open_flows(server) as flows:
            files, changed = await look_once(bench, flows)
    if changed:
        rows = [{"file": name, **each.model_dump(include={"state", "note"})} for name, each in sorted(files.items())]
        await acreate_table_artifact(rows, key="watched-folder", description="The watched folder, file by file")
    states = [each.state for each in files.values()]
    return {state: states.count(state) for state in sorted(set(states))}


async def look_once(bench: Bench, flows: Flows) -> tuple[dict[str, Watched], bool]:
    """Bring the ledger up to date with the folder and submit what has settled; says whether anything changed."""
    folder = watched_folder(bench.settings)
    ledger = bench.settings.home / "prefect" / "watch.json"
    before = await asyncio.to_thread(_load, ledger)
    files: dict[str, Watched] = {}
    for name, (size, changed) in (await asyncio.to_thread(_scan, folder)).items():
        known = before.get(name)
        same = known is not None and (known.size, known.changed) == (size, changed)
        files[name] = known if known is not None and same else Watched(size=size, changed=changed)
    settled = [name for name, each in files.items() if each.state == "growing" and _settled(each, before.get(name))]
    for name in settled[:_AT_ONCE]:
        files[name] = await _submit(folder / name, name, files[name], bench, flows)
    for name, each in files.items():
        if each.state == "submitted":
            files[name] = await _followed(name, each, flows)
    if files != before:
        await asyncio.to_thread(_save, ledger, files)
    return files, files != before


def watched_folder(settings: Settings) -> Path:
    """The folder that is watched; made when it is not there."""
    folder = settings.watch or settings.home / "watch"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def base_of(name: str) -> str:
    """The knowledge base of a watched file: its first folder, if it lies in one."""
    return name.partition("/")[0] if "/" in name else DEFAULT_BASE


def _scan(folder: Path) -> dict[str, tuple[int, float]]:
    return {str(path.relative_to(folder).as_posix()): (s.st_size, s.st_mtime) for path, s in _files(folder)}


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    # links are not followed: one could lead out of the folder, or in circles
    for parent, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith((".", "~$")) and not name.endswith(_PARTIAL) and not path.is_symlink():
                yield path, path.stat()


def _settled(now: Watched, before: Watched | None) -> bool:
    quiet = time.time() - now.changed >= _SETTLED_SECONDS
    return now.size > 0 and (quiet or before == now)


async def _submit(path: Path, name: str, file: Watched, bench: Bench, flows: Flows) -> Watched:
    try:
        media = await bench.media.put(path, name=path.name)
        run = await flows.submit(media, knowledge_base=base_of(name), tenant=bench.tenant)
    except FileNotFoundError:
        return file
    except SutradharError as error:
        get_run_logger().warning("%s: %s", name, error)
        # a server that is down comes back; a file that is refused stays so
        retry = error.status >= 500
        return file.model_copy(update={} if retry else {"state": "failed", "note": str(error)})
    return file.model_copy(update={"state": "submitted", "media": media.sha256, "run": run})


async def _followed(name: str, file: Watched, flows: Flows) -> Watched:
    try:
        now = await flows.progress(file.run)
    except SutradharError:
        return file
    if not now.ended:
        return file
    if now.state == "done":
        return file.model_copy(update={"state": "done", "note": ""})
    get_run_logger().warning("%s was not ingested: %s", name, now.message)
    return file.model_copy(update={"state": "failed", "note": now.message or now.state})


def _load(path: Path) -> dict[str, Watched]:
    try:
        return _LEDGER.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return {}


def _save(path: Path, files: dict[str, Watched]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(_LEDGER.dump_python(files), indent=1))
    part.replace(path)
