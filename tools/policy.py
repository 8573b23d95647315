"""What agents may do by themselves: each of their tool calls passes `Permit.call`. People at the doors are not asked.

A tool must be allowed to the agent. A write or an expense needs a person's yes, is noted before it begins, and is never
done twice in one run. Where a model wrote the arguments, they name no host but those that a person named.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel

from tools.errors import Conflict, Forbidden, OutcomeUnknown
from tools.settings import Policy

if TYPE_CHECKING:
    from tools.toolbox import Tool

Out = TypeVar("Out", bound=BaseModel)

YES, NO, ALL = "yes", "no", "all"
"""The answers to an approval: this call, no call of this tool in this run, every call of this tool in this run."""

SHOWN = 600
"""Characters of the arguments in a question."""

_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?[\\/]{2}[^\s\"'<>]+|\bwww\.[^\s\"'<>]+", re.IGNORECASE)


class Record(Protocol):
    """What is remembered of a run, also after the host was killed."""

    async def decided(self, key: str) -> bool | None:
        """What a person decided under this key, None as long as nobody was asked."""
        ...

    def ask(self, text: str, key: str) -> None:
        """Put a question to a person. It returns only when some question of this run was answered meanwhile."""
        ...

    async def begin(self, call: str) -> str | None:
        """Note that a call begins. Returns the JSON that it gave when it was made before; raises `Conflict` when it
        began before and nobody knows how it ended."""
        ...

    async def end(self, call: str, output: str | None) -> None:
        """Note what a call gave; None for one that failed and may be made again."""
        ...

    def leave(self, call: str) -> None:
        """A call was cut off in the middle; whether it took effect is not known."""
        ...


@dataclass(frozen=True)
class Permit:
    """What one agent may do in one run.

    `hosts` are those that a person named, or None where the arguments are written by code and not by a model. `granted`
    is the effect of the tool that is running, whose own calls are part of it. `depth` counts the agents above this one.
    """

    agent: str
    rules: Policy
    record: Record
    hosts: frozenset[str] | None = None
    granted: str = ""
    depth: int = 0

    def of(self, agent: str) -> "Permit":
        """The permit of an agent that runs as a part of this one."""
        return replace(self, agent=agent)

    def by_model(self, words: str) -> "Permit":
        """The permit for arguments that a model wrote; `words` are what a person said, with the hosts they named."""
        return replace(self, hosts=frozenset(hosts_in(words)))

    def within(self, effect: str) -> "Permit":
        """The permit of a running tool of this effect, which was itself allowed."""
        return replace(self, granted=effect, hosts=None)

    def allows(self, name: str) -> bool:
        """Whether the agent may use a tool at all."""
        if any(fnmatchcase(name, pattern) for pattern in self.rules.deny):
            return False
        allowed = self.rules.allow.get(self.agent)
        return allowed is None or any(fnmatchcase(name, pattern) for pattern in allowed)

    async def call(self, tool: "Tool[Any, Out]", input: BaseModel, work: Callable[[], Awaitable[Out]]) -> Out:
        """Make a call if it is allowed; raises `Forbidden`, or asks a person and does not return."""
        if not self.granted and not self.allows(tool.name):
            raise Forbidden(
                f"Agent {self.agent!r} may not use the tool {tool.name!r}.",
                remedy="The owner decides it with SUTRADHAR_POLICY__ALLOW and SUTRADHAR_POLICY__DENY.",
            )
        free = tool.effect in ("read", self.granted)
        if free and self.hosts is None:
            return await work()
        arguments = input.model_dump(mode="json", exclude_unset=True)
        if self.hosts is not None:
            await self._check_hosts(tool.name, arguments, self.hosts)
        if free:
            return await work()
        await self._approve(tool.name, tool.effect, arguments)
        return await self._once(tool, arguments, work)

    async def _approve(self, name: str, effect: str, arguments: dict[str, Any]) -> None:
        if effect not in self.rules.approve or any(fnmatchcase(name, pattern) for pattern in self.rules.trusted):
            return
        told = (
            f"The agent {self.agent!r} wants to call {name!r}, which may {effect}, with {_shown(arguments)}. Allow it?"
        )
        await self._decided(told, [f"{name}:*", call_key(name, arguments)], name)

    async def _check_hosts(self, name: str, arguments: dict[str, Any], named: frozenset[str]) -> None:
        for host in sorted(set(hosts_in(*_strings(arguments))) - named):
            if any(fnmatchcase(host, pattern) for pattern in self.rules.hosts):
                continue
            told = f"The agent {self.agent!r} wants {name!r} to reach {host!r}, with {_shown(arguments)}. Allow it?"
            await self._decided(told, [f"host {host}:*", call_key(f"host {host}", arguments)], f"reaching {host}")

    async def _decided(self, told: str, keys: list[str], what: str) -> None:
        """Return when a person said yes. What was answered to another question of this run decides nothing here."""
        while True:
            for key in keys:
                decided = await self.record.decided(key)
                if decided:
                    return
                if decided is not None:
                    raise Forbidden(f"A person said no to {what!r} in this run.", remedy="Do without it.")
            self.record.ask(told, keys[-1])

    async def _once(self, tool: "Tool[Any, Out]", arguments: dict[str, Any], work: Callable[[], Awaitable[Out]]) -> Out:
        if tool.idempotent:
            return await work()
        call = call_key(tool.name, arguments)
        before = await self.record.begin(call)
        if before is not None:
            return tool.output.model_validate_json(before)
        try:
            output = await work()
        except (asyncio.CancelledError, OutcomeUnknown):
            self.record.leave(call)
            raise
        except BaseException:
            await self.record.end(call, None)
            raise
        await self.record.end(call, output.model_dump_json())
        return output


def unknown_end(call: str) -> Conflict:
    """What is raised of a call that was cut off."""
    return Conflict(
        f"{call.partition(':')[0]!r} was cut off before, and nobody knows whether it took effect.",
        remedy="Look whether it did; it is not done again in this run.",
    )


def call_key(name: str, arguments: dict[str, Any]) -> str:
    """The same for the same call: one tool with the same arguments."""
    text = json.dumps(arguments, sort_keys=True, ensure_ascii=False)
    return f"{name}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def decisions(key: str, answer: str) -> dict[str, bool]:
    """What an answer to the question with this key decides."""
    every = f"{key.rpartition(':')[0]}:*"
    return {YES: {key: True}, ALL: {every: True}}.get(answer, {every: False})


def hosts_in(*texts: str) -> Iterator[str]:
    """The hosts of all addresses in these texts; what cannot be read as one is given as it stands, to match nothing."""
    for text in texts:
        for match in _ADDRESS.finditer(text):
            address = match.group().rstrip(".,;:!?)]}")
            address = f"//{address}" if address.lower().startswith("www.") else address
            try:
                host = urlsplit(address).hostname or ""
            except ValueError:
                host = ""
            # parsers disagree about backslashes, so that one may see another host than we do
            yield host.rstrip(".") if host and "\\" not in address else address


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _shown(arguments: dict[str, Any]) -> str:
    text = json.dumps(arguments, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text):,} characters)"
