"""Models behind somebody else's API: nothing is loaded, a key is needed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from tools.capability import Endpoint
from tools.catalog import Row
from tools.errors import NotInstalled
from tools.isolation import only_served


@dataclass(frozen=True)
class RemoteEngine:
    """An address and a key."""

    row: Row
    key: SecretStr

    @property
    def alive(self) -> bool:
        return True

    @property
    def pid(self) -> int | None:
        return None

    @property
    def endpoint(self) -> Endpoint:
        """Where the provider serves it; an empty address is the provider's own."""
        options = self.row.options
        return Endpoint(
            url=str(options.get("url", "")),
            model=str(options.get("model", self.row.id)),
            key=self.key.get_secret_value(),
        )

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Awaitable[Any]:
        raise only_served(self.row.title, method)

    def stream(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise only_served(self.row.title, method)

    async def close(self) -> None:
        """There is nothing to end."""


def start(row: Row, keys: Mapping[str, SecretStr]) -> RemoteEngine:
    """Options of a remote row: `provider` (`openai`, `anthropic`, or any name of a key), `model`, `url`."""
    provider = str(row.options.get("provider", "openai"))
    if provider not in keys:
        raise NotInstalled(
            f"{row.title} needs a key for {provider!r}.", remedy=f"Set SUTRADHAR_API_KEYS__{provider.upper()}."
        )
    return RemoteEngine(row, keys[provider])
