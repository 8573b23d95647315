"""`sutradhar doctor`: what this machine has and lacks; each failure names the fix."""

import asyncio
import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import typer
from rich.markup import escape

from api.auth import is_loopback
from api.cli.edge import out, say_json
from api.cli.models import profile_rows
from api.discovery import find
from tools.catalog import load_catalog
from tools.errors import SutradharError
from tools.isolation.environments import Environments, find_uv
from tools.settings import Settings
from tools.store import WeightStore

_PROGRAMS = {
    "chromium": "tests the console: apt-get install chromium",
    "git": "reads repositories: apt-get install git",
}
_FREE_GB = 5.0


@dataclass(frozen=True)
class Check:
    """`needed` checks fail the command; the others only tell."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    needed: bool = True


async def doctor(settings: Settings, *, as_json: bool) -> None:
    """Run every check; exit code 1 when one that is needed fails."""
    checks = await asyncio.to_thread(lambda: [check for each in CHECKS for check in each(settings)])
    healthy = all(check.ok or not check.needed for check in checks)
    if as_json:
        say_json({"ok": healthy, "checks": [asdict(check) for check in checks]})
    else:
        for check in checks:
            mark = "[green]✓[/green]" if check.ok else "[red]✗[/red]" if check.needed else "[yellow]·[/yellow]"
            out.print(f"{mark} {check.name}: {escape(check.detail)}")
            if not check.ok:
                out.print(f"    [dim]→ {escape(check.fix)}[/dim]")
    if not healthy:
        raise typer.Exit(1)


def _python(settings: Settings) -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", (3, 11) <= sys.version_info[:2] < (3, 14), version, "Use Python 3.11, 3.12 or 3.13.")


def _media(settings: Settings) -> Iterator[Check]:
    try:
        import av
    except ImportError as error:
        yield Check("media", ok=False, detail=str(error), fix="Reinstall: make setup.")
        return
    libraries = ", ".join(f"{name} {'.'.join(map(str, version))}" for name, version in av.library_versions.items())
    decoders = {"h264", "hevc", "vp9", "av1", "aac", "mp3", "opus"} - set(av.codecs_available)
    yield Check("media", not decoders, f"PyAV {av.__version__} ({libraries})", f"PyAV lacks {decoders}: reinstall it.")


def _ports(settings: Settings) -> Iterator[Check]:
    running = find(settings.home)
    if running is not None:
        yield Check("host", ok=True, detail=f"runs at {running.url}")
        return
    for name, address, port in (
        ("port", settings.server.host, settings.server.port),
        ("prefect port", "127.0.0.1", settings.prefect.port),
    ):
        variable = "SUTRADHAR_SERVER__PORT" if name == "port" else "SUTRADHAR_PREFECT__PORT"
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                yield Check(name, ok=True, detail=f"{address}:{port} is free")
            except OSError as error:
                yield Check(name, ok=False, detail=f"{address}:{port}: {error.strerror}", fix=f"Set {variable}.")


def _disk(settings: Settings) -> Iterator[Check]:
    for name, folder in (("home", settings.home), ("cache", settings.cache)):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free / 1024**3
        writable = os.access(existing, os.W_OK)
        detail = f"{folder}: {free:.0f} GB free" + ("" if writable else ", not writable")
        yield Check(
            name, writable and free >= _FREE_GB, detail, "Free some space, or set SUTRADHAR_HOME or SUTRADHAR_CACHE."
        )
    if settings.home.exists() and stat.S_IMODE(settings.home.stat().st_mode) & 0o077:
        yield Check(
            "privacy", ok=False, detail=f"{settings.home} can be read by others", fix=f"chmod 700 {settings.home}"
        )


def _keys(settings: Settings) -> Iterator[Check]:
    server = settings.server
    if server.keys:
        yield Check("keys", ok=True, detail=f"{len(server.keys)} tenants")
    else:
        fix = """Set SUTRADHAR_SERVER__KEYS='{"team-a": "<secret>"}'."""
        yield Check("keys", is_loopback(server.host), f"none; {server.host} is served", fix)


def _profile(settings: Settings) -> Iterator[Check]:
    try:
        catalog = load_catalog()
        rows, store = profile_rows(catalog, settings), WeightStore(settings.cache, offline=True)
        devices = catalog.profile(settings.profile).devices | settings.devices
    except SutradharError as error:
        yield Check("profile", ok=False, detail=error.message, fix=error.remedy or "Set SUTRADHAR_PROFILE=embedded.")
        return
    needs = ", ".join(f"{budget:g} GB on {device}" for device, budget in devices.items())
    yield Check("profile", ok=True, detail=f"{settings.profile}: {len(rows)} models, {needs}")
    yield from _gpus(devices)
    environments = Environments(settings.cache / "environments", offline=True)
    for row in rows:
        missing = store.missing(row)
        size = sum(file.size or 0 for file in missing) / 1e6
        absent = [f"{size:,.0f} MB are not here"] if missing else []
        absent += ["its environment is not built"] if environments.missing(row) else []
        yield Check(f"model {row.id}", not absent, ", ".join(absent) or "installed", f"sutradhar models fetch {row.id}")


def _gpus(devices: dict[str, float]) -> Iterator[Check]:
    wanted = sorted(device for device in devices if device.startswith("gpu:"))
    if not wanted:
        return
    import pynvml

    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        count, detail = 0, str(error)
    else:
        detail = f"{count} found"
    for device in wanted:
        fix = "Install the NVIDIA driver, or choose another SUTRADHAR_PROFILE."
        yield Check(device, int(device.removeprefix("gpu:")) < count, detail, fix)


def _programs(settings: Settings) -> Iterator[Check]:
    for name, use in _PROGRAMS.items():
        path = shutil.which(name)
        yield Check(name, path is not None, path or "not installed (optional)", use, needed=False)


def _environments(settings: Settings) -> Iterator[Check]:
    """Models with pins of their own run under another interpreter, which uv puts together."""
    uv = find_uv()
    use = "builds the environments of models with old pins: pip install uv"
    yield Check("uv", uv is not None, str(uv or "not installed (optional)"), use, needed=False)


def _sandbox(settings: Settings) -> Iterator[Check]:
    """Generated code runs in it, and nowhere else; the toolchains are those that it sees."""
    from tools.sandbox.languages import toolchains
    from tools.sandbox.proof import prove

    try:
        proof = asyncio.run(prove(settings))
        present = asyncio.run(toolchains(settings))
    except SutradharError as error:
        yield Check("sandbox", ok=False, detail=error.message, fix=error.remedy, needed=False)
        return
    except OSError as error:
        yield Check("sandbox", ok=False, detail=str(error), fix="Make the home folder writable.", needed=False)
        return
    layers = ", ".join(f"{name}: {state}" for name, state in proof.layers.items())
    yield Check("sandbox", ok=True, detail=f"{len(proof.probes)} probes held ({layers})")
    for each in present:
        yield Check(f"language {each.language}", each.present, each.version or "not installed", each.fix, needed=False)


CHECKS: tuple[Callable[[Settings], Iterator[Check]], ...] = (
    _python,
    _media,
    _ports,
    _disk,
    _keys,
    _profile,
    _programs,
    _environments,
    _sandbox,
)
