"""A capability names what an engine can do; a lease is the right to use one engine while it stays in memory.

An engine is a plain blocking class that follows its capability's `Protocol`; it knows nothing of threads, processes or
the event loop. A lease carries the call to wherever the engine lives:

    async with bench.engine(SPEECH_TO_TEXT, language="en") as speech:
        async for heard in speech.stream(SpeechToText.transcribe, audio, options):
            ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    # engines with an interpreter of their own import their capability too, and have no pydantic
    from tools.catalog import Row

E = TypeVar("E")
E_co = TypeVar("E_co", covariant=True)
T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Capability(Generic[E]):
    """`name` is the catalogue's word for it; `protocol` is the class whose methods an engine has."""

    name: str
    protocol: type


@dataclass(frozen=True)
class Part(Generic[T]):
    """The key of something that an upper room lays on the bench, such as the segment store."""

    name: str


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server: `url` ends in `/v1`; `model` is the name that it knows the model by."""

    url: str
    model: str
    key: str


class Lease(Protocol[E_co]):
    """A loaded engine, pinned until the lease ends. Calls from many leases of one model share one copy."""

    @property
    def row(self) -> Row: ...

    @property
    def endpoint(self) -> Endpoint:
        """Where the engine is served; raises `InvalidInput` for an engine that is not a server."""
        ...

    def call(self, method: Callable[Concatenate[E_co, P], R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Run one method of the engine off the event loop.

        Raises `EngineFailed` when the engine dies meanwhile; the next lease loads it afresh.
        """
        ...

    def stream(
        self, method: Callable[Concatenate[E_co, P], Iterator[R]], *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[R]:
        """Iterate a generator method of the engine; a consumer that stops early stops the engine too."""
        ...
