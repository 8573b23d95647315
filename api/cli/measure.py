"""`sutradhar eval NAME` and `sutradhar bench NAME`: figures as JSON, made by the modules under `tests/`."""

import os
import platform
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Literal

from api.cli.edge import say_json
from tools.errors import InvalidInput, NotInstalled
from tools.open import make_home
from tools.settings import Settings


async def measure(
    kind: Literal["evals", "bench"], name: str, settings: Settings, data: Path | None, *, quick: bool
) -> None:
    """Run `tests.<kind>.<name>` and print `{"name", "figures", "machine"}`."""
    names = available(kind)
    if name not in names:
        raise InvalidInput(f"There is no {kind} {name!r}.", remedy=f"Choose one of: {', '.join(names)}.", param="name")
    make_home(settings.home)
    figures = await import_module(f"tests.{kind}.{name}").run(settings.home, data, quick)
    say_json({"name": name, "figures": figures, "machine": machine()})


def available(kind: str) -> list[str]:
    """The measurements there are; they come with the source tree, not with the wheel."""
    spec = find_spec(f"tests.{kind}") if find_spec("tests") else None
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalled(
            "The measurements are not part of the installed package.", remedy="Run this in the source tree."
        )
    return sorted(module.name for module in iter_modules(list(spec.submodule_search_locations)))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import psutil

    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": psutil.cpu_count(logical=True),
        "memory_gb": round(psutil.virtual_memory().total / 1024**3, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }
