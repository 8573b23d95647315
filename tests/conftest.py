"""What every test stands on: one event loop backend, a home of its own, and a guard that keeps traffic on loopback."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# read by libraries when they are imported, so they are set before any of them is
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

from tools.settings import Settings


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a fresh home that never fetches; weights come from the user's cache."""
    return Settings(home=tmp_path / "home", offline=True, _env_file=None)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of evaluation data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("SUTRADHAR_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("needs evaluation data: set SUTRADHAR_DATA to a folder with speech/, video/ and qa/")
    return folder


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "local"
        if self.family in (socket.AF_INET, socket.AF_INET6) and host not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {host!r}; tests stay on loopback")
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign,assignment]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]
