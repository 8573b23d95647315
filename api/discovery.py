"""How programs of one home find its running host, and the secrets that they share."""

import fcntl
import json
import os
import secrets
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tools.errors import Conflict, SutradharError

_FILE = "host.json"
_LOCK = "host.lock"


class Address(BaseModel):
    """A running host. `instance` is random and also told by `/health`, so that a reused port is not mistaken for it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    pid: int
    instance: str
    key_file: Path

    def key(self) -> str:
        return self.key_file.read_text(encoding="ascii").strip()


def secret(home: Path, name: str) -> str:
    """The secret of this name, made on first use, readable by this user only."""
    path = secret_file(home, name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise SutradharError(f"{path} can be read by others.", remedy=f"chmod 600 {path}") from None
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(value := secrets.token_urlsafe(32))
    return value


def secret_file(home: Path, name: str) -> Path:
    return home / "secrets" / f"{name}.key"


def announce(home: Path, address: Address) -> None:
    """Tell the other programs of this home where the host is; replaced atomically."""
    part = home / f"{_FILE}.{os.getpid()}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(address.model_dump_json())
    part.replace(home / _FILE)


def withdraw(home: Path, instance: str) -> None:
    """Take the announcement back, unless another host has replaced it."""
    address = _read(home)
    if address is not None and address.instance == instance:
        (home / _FILE).unlink(missing_ok=True)


@contextmanager
def only_host(home: Path) -> Iterator[None]:
    """Hold the home's host lock, from before a host opens its rooms; raises `Conflict` when another one holds it."""
    with (home / _LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(f"Another host of {home} runs or is starting.", remedy="Stop it first.") from error
        yield


def wait_for(home: Path, *, seconds: float = 90.0) -> Address | None:
    """Like `find`, but a host that is still starting is waited for."""
    deadline = time.monotonic() + seconds
    while (address := find(home)) is None and _is_held(home / _LOCK) and time.monotonic() < deadline:
        time.sleep(0.3)
    return address


def _is_held(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def find(home: Path, *, seconds: float = 2.0) -> Address | None:
    """The running host of this home, verified alive; None when there is none. Blocks for at most `seconds`."""
    address = _read(home)
    if address is None or not address.url.startswith("http"):
        return None
    try:
        with urllib.request.urlopen(f"{address.url}/health", timeout=seconds) as answer:  # noqa: S310
            alive = json.load(answer).get("instance") == address.instance
    except (OSError, ValueError):
        return None
    return address if alive else None


def _read(home: Path) -> Address | None:
    try:
        return Address.model_validate_json((home / _FILE).read_bytes())
    except (OSError, ValidationError):
        return None
