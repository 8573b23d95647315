"""Which of the models that are fetched on request are here, for capabilities that no default model has."""

from importlib.util import find_spec
from typing import Any

from tools.bench import Bench
from tools.capability import Capability
from tools.catalog import Choice, Row
from tools.errors import NotInstalled
from tools.isolation.child import find
from tools.store import WeightStore


def first_installed(bench: Bench, capability: Capability[Any]) -> Choice | None:
    """The first row of the profile that is installed and fits, else another that somebody fetched.

    Blocking: it looks at the disk. The reason says who was passed over, and why.
    """
    listed, passed = bench.candidates(capability), list[str]()
    for choice in [*listed, *_others(bench, capability, {each.row.id for each in listed})]:
        if lack := absent(bench, choice.row):
            passed.append(f"{choice.row.title} {lack}.")
        else:
            return choice.model_copy(update={"reason": " ".join([choice.reason, *passed]).strip()})
    return None


def not_installed(bench: Bench, capability: Capability[Any], smallest: str, so: str) -> NotInstalled:
    """What to tell where there is none: the command that installs the profile's first that fits, else `smallest`."""
    listed = [choice.row for choice in bench.candidates(capability)]
    wanted = next((row for row in listed if row.files and fits(bench, row)), None) or bench.catalog.row(smallest)
    torch = "" if _has_packages(wanted) else "make gpu && "
    return NotInstalled(
        f"No {capability.name} model is installed, {so} (profile {bench.settings.profile!r}).",
        remedy=f"Run `{torch}sutradhar models fetch {wanted.id}`.",
    )


def absent(bench: Bench, row: Row) -> str:
    """What a row lacks here, as the end of a sentence; empty for one that can serve."""
    if row.isolation == "remote":
        return "" if str(row.options.get("provider", "openai")) in bench.settings.api_keys else "needs a key"
    if not fits(bench, row):
        return f"does not fit on {row.device}"
    if row.isolation == "server":
        try:
            find(row.engine).command(row, {}, row.device, 0)
        except (NotInstalled, ImportError):
            return "needs a program that is not installed"
    elif not _has_packages(row):
        return "needs PyTorch and its libraries, which are not installed"
    store = WeightStore(bench.settings.cache, offline=True)
    return "has not been fetched" if row.on_request and row.files and store.missing(row) else ""


def fits(bench: Bench, row: Row) -> bool:
    """Whether the profile's devices have room for it, and its licence permits the use."""
    devices = bench.catalog.profile(bench.settings.profile).devices | bench.settings.devices
    return row.memory <= devices.get(row.device, 0.0) and (row.commercial or not bench.settings.commercial)


def _others(bench: Bench, capability: Capability[Any], listed: set[str]) -> list[Choice]:
    rows = (row for row in bench.catalog.models if row.capability == capability.name and row.id not in listed)
    fetched = [row for row in rows if row.status == "ready" and row.files and not absent(bench, row)]
    return [Choice(row=row, asked=row.id) for row in fetched]


def _has_packages(row: Row) -> bool:
    # an interpreter of its own has its own packages
    return (
        row.python is not None
        or bool(row.requirements)
        or all(find_spec(each) for each in getattr(find(row.engine), "needs", ()))
    )
