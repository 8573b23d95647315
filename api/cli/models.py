"""`sutradhar models`: the catalogue, its weights, and what loading would do."""

import asyncio
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from api.cli.edge import err, out, say_json
from api.cli.host import running_host
from api.models import is_installed
from tools.catalog import Catalog, Row, load_catalog
from tools.events import ModelEvent, ToolEvent
from tools.isolation.environments import Environments
from tools.settings import Settings
from tools.store import WeightStore


async def list_models(settings: Settings, *, as_json: bool) -> None:
    """One line per model."""
    catalog, store = load_catalog(), WeightStore(settings.cache, offline=True)
    rows = [_describe(row, store, settings) for row in catalog.models]
    if as_json:
        say_json({"profile": settings.profile, "models": rows})
        return
    table = Table(
        Column("model", no_wrap=True), Column("does", no_wrap=True), "state", "licence", box=None, pad_edge=False
    )
    table.add_column("note", no_wrap=True, overflow="ellipsis")
    for row in rows:
        note = f"→ {row['replaced_by']}  {row['note']}" if row["replaced_by"] else row["note"]
        table.add_row(row["id"], row["capability"], _state(row), row["licence"], escape(note))
    out.print(table)


def _describe(row: Row, store: WeightStore, settings: Settings) -> dict[str, Any]:
    about = row.model_dump(
        include={"id", "title", "capability", "status", "licence", "commercial", "replaced_by", "note"}
    )
    installed = is_installed(row, store, settings)
    return {**about, "installed": installed, "megabytes": round(sum(file.size or 0 for file in row.files) / 1e6)}


def _state(row: dict[str, Any]) -> str:
    if row["status"] != "ready":
        return f"[dim]{row['status']}[/dim]"
    return "[green]installed[/green]" if row["installed"] else "[yellow]not fetched[/yellow]"


def profile_rows(catalog: Catalog, settings: Settings) -> list[Row]:
    """The rows that the profile's capabilities and roles name, each once."""
    profile = catalog.profile(settings.profile)
    ids = [id for rows in (profile.serves | settings.serves).values() for id in rows]
    ids += [*(profile.roles | settings.roles).values()]
    return list({row.id: row for row in (catalog.resolve(id).row for id in ids)}.values())


async def fetch(settings: Settings, models: list[str], *, as_json: bool) -> None:
    """Fetch the named models' weights and build the environments that they run in.

    Without names, those of the profile that are not on request.
    """
    catalog, store, environments = _shelves(settings)
    rows = [_fetchable(catalog, id) for id in models] or [
        row for row in profile_rows(catalog, settings) if not row.on_request
    ]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=as_json) as progress:
        for row in rows:
            await _fetch(row, store, environments, progress)
    fetched = [
        {"id": row.id, "folder": str(store.folder(row)), "bytes": store.size(row) + environments.size(row)}
        for row in rows
    ]
    if as_json:
        say_json({"models": fetched})
    else:
        total = sum(int(str(each["bytes"])) for each in fetched)
        out.print(f"{len(rows)} models are installed and checked ({total / 1e6:,.0f} MB).")


def _fetchable(catalog: Catalog, model: str) -> Row:
    """The row itself when it has files, such as sample media that no engine serves; else what serves in its place."""
    row = catalog.row(model)
    return row if row.files else catalog.resolve(model).row


async def _fetch(row: Row, store: WeightStore, environments: Environments, progress: Progress) -> None:
    task = progress.add_task(row.id, total=1.0)

    def emit(event: ToolEvent | ModelEvent) -> None:
        if isinstance(event, ModelEvent):
            description = escape(f"{row.id} {event.note}".strip())
            progress.update(task, completed=event.fraction, description=description)

    await environments.ensure(row, emit)
    await store.ensure(row, emit)
    progress.update(task, completed=1.0)


async def remove(settings: Settings, models: list[str], *, as_json: bool) -> None:
    """Delete the models' weights, and the environments that only they run in."""
    catalog, store, environments = _shelves(settings)
    rows, freed = [catalog.row(id) for id in models], 0
    leaving = {row.id for row in rows}
    # a shared environment stays for a row that is installed
    others = [row for row in catalog.models if row.id not in leaving and row.files and not store.missing(row)]
    for row in rows:
        before = store.size(row) + environments.size(row)
        await store.remove(row)
        await environments.remove(row, others)
        freed += before - store.size(row) - environments.size(row)
    if as_json:
        say_json({"removed": sorted(leaving), "bytes": freed})
    else:
        out.print(f"{', '.join(sorted(leaving))}: {freed / 1e6:,.0f} MB are free again.")


def _shelves(settings: Settings) -> tuple[Catalog, WeightStore, Environments]:
    return (
        load_catalog(),
        WeightStore(settings.cache, offline=settings.offline),
        Environments(settings.cache / "environments", offline=settings.offline),
    )


async def plan(settings: Settings, model: str, *, as_json: bool) -> None:
    """Ask the running host, whose memory is in use, or say what an empty one would do."""
    async with running_host(settings) as host:
        if host is not None:
            found: dict[str, Any] = await host.get(f"/api/v1/models/{model}/plan")
        else:
            found = await _plan_alone(settings, model)
    if as_json:
        say_json(found)
        return
    who = f", evicts {', '.join(found['evicts'])}" if found["evicts"] else ""
    out.print(
        f"{found['model']} on {found['device']}: [bold]{found['verdict']}[/bold]{who}; needs {found['memory']:.1f} GB, "
        f"{found['free']:.1f} GB are free; about {found['seconds']:.0f} s. {found['note']}"
    )


async def _plan_alone(settings: Settings, model: str) -> dict[str, Any]:
    from tools.open import open_bench
    from tools.residency import Residency

    async with open_bench(settings) as bench:
        assert isinstance(bench.models, Residency)  # noqa: S101 `open_bench` makes no other
        return (await asyncio.to_thread(bench.models.plan, model)).model_dump(mode="json")
