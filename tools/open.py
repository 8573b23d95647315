"""Opening a bench: the catalogue, the weights, the models and the media of one home."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from tools.bench import Bench
from tools.catalog import Catalog, load_catalog
from tools.devices import GB, Costs, Devices
from tools.media.store import MediaStore
from tools.residency import Residency
from tools.settings import Settings
from tools.store import WeightStore
from tools.vision.asking import SEERS, Seers

_SHARE = 0.8


@asynccontextmanager
async def open_bench(settings: Settings, *, catalog: Catalog | None = None) -> AsyncIterator[Bench]:
    """A bench over `settings.home`; every engine it started has ended when the block ends.

    `catalog` stands in for the one that ships with the package.
    """
    catalog = (catalog or load_catalog()).succeeded(settings.successors)
    make_home(settings.home)
    residency = Residency(
        catalog,
        Devices(_budgets(settings, catalog)),
        WeightStore(settings.cache, offline=settings.offline),
        settings,
        costs=Costs(settings.cache / "costs.json"),
    )
    media = MediaStore(settings.home / "media", settings.home / "tmp", max_bytes=settings.limits.upload_bytes)
    try:
        yield Bench(settings=settings, catalog=catalog, models=residency, media=media, parts={SEERS.name: Seers()})
    finally:
        await residency.close()


def make_home(home: Path) -> None:
    """The home folder, for its owner's eyes only."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)


def _budgets(settings: Settings, catalog: Catalog) -> dict[str, float]:
    """The profile's budgets, main memory never more than most of what the machine has; the owner's word goes last."""
    budgets = dict(catalog.profile(settings.profile).devices)
    budgets["cpu"] = min(budgets.get("cpu", 8.0), _SHARE * psutil.virtual_memory().total / GB)
    return budgets | settings.devices
