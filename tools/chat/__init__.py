"""Chat models. They are always reached as LangChain chat models, by role; see `tools.chat.roles`."""

from typing import Literal, Protocol

from tools.capability import Capability

Role = Literal["reasoning", "coding", "writing", "vision", "judge"]


class Chat(Protocol):
    """A server that speaks the OpenAI protocol; used through `Lease.endpoint`."""


CHAT: Capability[Chat] = Capability("chat", Chat)
