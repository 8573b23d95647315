"""The Prefect server: a child process on loopback, behind an auth string, with all its data under the home folder.

Run as a program (`python -m flows.server PORT`) this is the child itself: it ends when the pipe to its parent closes,
so that a parent that is killed leaves no server behind.
"""

import asyncio
import json
import os
import secrets
import socket
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from pydantic import SecretStr

from flows.children import child, follow_parent
from tools.errors import EngineFailed
from tools.settings import Settings

_START_SECONDS = 120.0


@dataclass(frozen=True)
class PrefectServer:
    """Where Prefect is reached: `url` ends in `/api`; `auth` is its basic-auth string, `user:password`."""

    url: str
    auth: SecretStr
    pid: int | None = None

    @property
    def ui(self) -> str:
        return self.url.removesuffix("/api")


def private_folder(path: Path) -> Path:
    """The folder, made with mode 0700."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path


def auth_string(home: Path) -> SecretStr:
    """The server's auth string; made once, kept in a file that only the owner reads."""
    path = private_folder(home / "secrets") / "prefect"
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"sutradhar:{secrets.token_urlsafe(32)}")
    return SecretStr(path.read_text().strip())


def environment(settings: Settings, server: PrefectServer) -> dict[str, str]:
    """The variables under which a process is a client of this server. Analytics are off."""
    return {
        "PREFECT_HOME": str(private_folder(settings.home / "prefect")),
        "PREFECT_API_URL": server.url,
        "PREFECT_API_AUTH_STRING": server.auth.get_secret_value(),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "DO_NOT_TRACK": "1",
    }


def _server_environment(settings: Settings, server: PrefectServer) -> dict[str, str]:
    return environment(settings, server) | {
        "PREFECT_SERVER_API_AUTH_STRING": server.auth.get_secret_value(),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_UI_API_URL": server.url,
        "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # a home that slept for a day must not wake to a day of due watch runs
        "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT2M",
    }


def find_prefect(settings: Settings) -> PrefectServer | None:
    """The server that runs for this home, or the one that the settings name; None when there is neither."""
    if settings.prefect.url:
        return PrefectServer(settings.prefect.url.rstrip("/"), auth_string(settings.home))
    try:
        known = json.loads((settings.home / "prefect" / "server.json").read_text())
        os.kill(known["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return PrefectServer(known["url"], auth_string(settings.home), known["pid"])


@asynccontextmanager
async def open_prefect(settings: Settings) -> AsyncIterator[PrefectServer]:
    """A healthy Prefect server: the one that the settings name, or a child of this process."""
    if settings.prefect.url:
        yield PrefectServer(settings.prefect.url.rstrip("/"), auth_string(settings.home))
        return
    port = settings.prefect.port or _free_port()
    server = PrefectServer(f"http://127.0.0.1:{port}/api", auth_string(settings.home))
    note = private_folder(settings.home / "prefect") / "server.json"
    log = settings.home / "prefect" / "server.log"
    async with child("flows.server", str(port), env=_server_environment(settings, server), log=log) as process:
        await _healthy(server, process, log)
        running = PrefectServer(server.url, server.auth, process.pid)
        await asyncio.to_thread(note.write_text, json.dumps({"url": server.url, "pid": process.pid}))
        try:
            yield running
        finally:
            note.unlink(missing_ok=True)


async def _healthy(server: PrefectServer, process: asyncio.subprocess.Process, log: Path) -> None:
    auth = "Basic " + b64encode(server.auth.get_secret_value().encode()).decode()
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    async with aiohttp.ClientSession(headers={"Authorization": auth}) as session:
        while asyncio.get_running_loop().time() < deadline:
            if process.returncode is not None:
                raise EngineFailed(
                    f"The Prefect server ended with code {process.returncode} while it started.",
                    remedy=f"Its log is {log}; a port in use is the usual reason: set SUTRADHAR_PREFECT__PORT.",
                )
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{server.url}/admin/version", timeout=aiohttp.ClientTimeout(5)) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.2)
    raise EngineFailed(f"The Prefect server was not healthy within {_START_SECONDS:g} s.", remedy=f"Its log is {log}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Serve Prefect on the given loopback port until the parent goes away."""
    import uvicorn

    follow_parent()
    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="warning",
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
