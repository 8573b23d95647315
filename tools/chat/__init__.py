"""Chat models. They are always reached as LangChain chat models, by role; see `tools.chat.roles`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tools.capability import Capability

Role = Literal["reasoning", "coding", "writing", "vision", "judge"]


@dataclass(frozen=True)
class Piece:
    """A few tokens of an answer; the last piece tells the tokens read and written."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Chat(Protocol):
    """Rows with isolation `server` or `remote` are reached over the OpenAI protocol through `Lease.endpoint`; any other
    engine has this method."""

    def reply(self, messages: list[dict[str, Any]], options: dict[str, Any]) -> Iterator[Piece]:
        """Answer messages of OpenAI's shape; `options` are the request's other fields, such as `max_tokens`."""
        ...


CHAT: Capability[Chat] = Capability("chat", Chat)
