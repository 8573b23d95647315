"""Python packages for runs: from the owner's allow-list, fetched outside the sandbox, shown inside read-only.

Only wheels: unpacking one runs nothing of it. A set of packages is a folder in the cache, made once.
"""

import asyncio
import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from filelock import AsyncFileLock
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.isolation import child_environment
from tools.settings import Settings

_SECONDS = 600.0


async def install(packages: Sequence[str], settings: Settings) -> Path:
    """The folder with these packages and what they need.

    Raises `InvalidInput` for one off the list, `NotInstalled` when it is neither cached nor to be had.
    """
    wanted = sorted({str(_allowed(each, settings)) for each in packages})
    name = hashlib.sha256("\n".join([sys.version, *wanted]).encode()).hexdigest()[:20]
    folder = settings.cache / "sandbox" / name
    if folder.is_dir():
        return folder
    if settings.offline:
        raise NotInstalled(
            f"The packages {', '.join(wanted)} are not cached, and fetching is off.",
            remedy="Run once with SUTRADHAR_OFFLINE=false.",
            param="packages",
        )
    await asyncio.to_thread(folder.parent.mkdir, parents=True, exist_ok=True)
    async with AsyncFileLock(f"{folder}.lock", timeout=_SECONDS):
        if not folder.is_dir():
            await _fetch(wanted, folder)
    return folder


def _allowed(text: str, settings: Settings) -> Requirement:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise InvalidInput(f"{text[:80]!r} is not a package: {error}.", param="packages") from error
    listed = {canonicalize_name(Requirement(each).name) for each in settings.sandbox.packages}
    if requirement.url or requirement.marker or canonicalize_name(requirement.name) not in listed:
        raise InvalidInput(
            f"{text[:80]!r} is not on the list of packages that code may use.",
            remedy=f"The list is: {', '.join(settings.sandbox.packages)}; SUTRADHAR_SANDBOX__PACKAGES changes it.",
            param="packages",
        )
    return requirement


async def _fetch(wanted: list[str], folder: Path) -> None:
    """Install beside the place and move it there whole."""
    fresh = Path(await asyncio.to_thread(mkdtemp, dir=folder.parent))
    orders = ["--only-binary", ":all:", "--no-input", "--disable-pip-version-check", "--no-warn-conflicts", "--quiet"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pip", "install", *orders, "--target", str(fresh), *wanted),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=child_environment(),
        # the run's own user must be able to read it
        umask=0o022,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            _, said = await process.communicate()
        if process.returncode:
            raise NotInstalled(
                f"{', '.join(wanted)} could not be fetched: {said.decode(errors='replace').strip()[-500:]}",
                remedy="Only packages that have a wheel for this machine can be used.",
                param="packages",
            )
        await asyncio.to_thread(fresh.chmod, 0o755)
        await asyncio.to_thread(fresh.rename, folder)
    except TimeoutError as error:
        raise EngineFailed(f"pip did not fetch {', '.join(wanted)} within {_SECONDS:g} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
