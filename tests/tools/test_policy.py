"""What agents may do: allowed tools, approvals that are remembered, effects that happen once, hosts that were named."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from tools.bench import Bench
from tools.errors import Conflict, EngineFailed, Forbidden
from tools.policy import ALL, NO, YES, Permit, decisions, hosts_in, unknown_end
from tools.settings import Policy, Settings
from tools.toolbox import tool

pytestmark = pytest.mark.anyio


class Text(BaseModel):
    text: str = ""
    more: dict[str, list[str]] = {}


class Asked(Exception):
    """A person is asked, and the run stops here."""


class Notes:
    """A record in memory, and what was really done."""

    def __init__(self) -> None:
        self.decisions: dict[str, bool] = {}
        self.calls: dict[str, str | None] = {}
        self.question = ("", "")

    async def decided(self, key: str) -> bool | None:
        return self.decisions.get(key)

    def ask(self, text: str, key: str) -> None:
        self.question = (text, key)
        raise Asked

    def answer(self, answer: str) -> None:
        self.decisions |= decisions(self.question[1], answer)

    async def begin(self, call: str) -> str | None:
        if call in self.calls:
            output = self.calls[call]
            if output is None:
                raise unknown_end(call)
            return output
        self.calls[call] = None
        return None

    async def end(self, call: str, output: str | None) -> None:
        if output is None:
            del self.calls[call]
        else:
            self.calls[call] = output

    def leave(self, call: str) -> None:
        pass


done: list[str] = []


@tool(title="Read")
async def read(input: Text, bench: Bench) -> Text:
    """Read."""
    return Text(text=input.text)


@tool(title="Send", effect="write")
async def send(input: Text, bench: Bench) -> Text:
    """Send."""
    if input.text == "fail":
        raise EngineFailed("It failed.")
    if input.text == "hang":
        await asyncio.Event().wait()
    done.append(input.text)
    return Text(text=f"sent {input.text}")


@tool(title="Pay", effect="spend")
async def pay(input: Text, bench: Bench) -> Text:
    """Pay, and send a receipt."""
    return await bench.call(send, input)


@tool(title="Pose")
async def pose(input: Text, bench: Bench) -> Text:
    """A read that sends all the same."""
    return await bench.call(send, input)


@tool(title="Keep", effect="write", idempotent=True)
async def keep(input: Text, bench: Bench) -> Text:
    """Keep."""
    done.append(input.text)
    return input


@pytest.fixture
def notes() -> Notes:
    done.clear()
    return Notes()


def bench_of(settings: Settings, notes: Notes, **rules: Any) -> Bench:
    unused: Any = None
    return Bench(settings, unused, unused, unused, permit=Permit("agent", Policy(**rules), notes))


async def test_people_are_not_asked(settings: Settings, notes: Notes) -> None:
    bench = replace(bench_of(settings, notes), permit=None)
    assert (await bench.call(send, Text(text="a"))).text == "sent a"


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ({}, True),
        ({"allow": {"agent": ["r*"]}}, True),
        ({"allow": {"other": ["send"]}}, True),
        ({"allow": {"agent": ["send"]}}, False),
        ({"allow": {"agent": []}}, False),
        ({"deny": ["re?d"]}, False),
        ({"deny": ["read"], "allow": {"agent": ["read"]}}, False),
    ],
)
async def test_an_agent_uses_what_its_owner_allows(
    settings: Settings, notes: Notes, rules: Mapping[str, Any], allowed: bool
) -> None:
    call = bench_of(settings, notes, **rules).call(read, Text(text="a"))
    if allowed:
        assert (await call).text == "a"
    else:
        with pytest.raises(Forbidden, match="'agent' may not use the tool 'read'"):
            await call


async def test_a_yes_is_for_one_call_and_is_remembered(settings: Settings, notes: Notes) -> None:
    bench = bench_of(settings, notes)
    with pytest.raises(Asked):
        await bench.call(send, Text(text="a"))
    assert '\'send\', which may write, with {"text": "a"}' in notes.question[0]
    notes.answer(YES)
    assert (await bench.call(send, Text(text="a"))).text == "sent a"
    assert (await bench.call(send, Text(text="a"))).text == "sent a"
    assert done == ["a"]
    with pytest.raises(Asked):
        await bench.call(send, Text(text="b"))


async def test_all_and_no_are_for_every_call_of_the_tool(settings: Settings, notes: Notes) -> None:
    bench = bench_of(settings, notes)
    for answer in (ALL, NO):
        notes.decisions.clear()
        with pytest.raises(Asked):
            await bench.call(send, Text(text=answer))
        notes.answer(answer)
        for text in ("b", "c"):
            call = bench.call(send, Text(text=text))
            if answer == ALL:
                await call
            else:
                with pytest.raises(Forbidden, match="said no"):
                    await call
    assert done == ["b", "c"]


async def test_the_owner_may_trust(settings: Settings, notes: Notes) -> None:
    await bench_of(settings, notes, trusted=["se*"]).call(send, Text(text="a"))
    await bench_of(settings, notes, approve=["spend"]).call(send, Text(text="b"))
    with pytest.raises(Asked):
        await bench_of(settings, notes, approve=["spend"]).call(pay, Text(text="c"))
    assert done == ["a", "b"]


async def test_what_a_tool_calls_is_part_of_it_unless_it_does_more(settings: Settings, notes: Notes) -> None:
    bench = bench_of(settings, notes, allow={"agent": ["pose", "pay"]}, trusted=["pay"])
    for outer in (pose, pay):
        with pytest.raises(Asked):
            await bench.call(outer, Text(text="a"))
        assert "'send'" in notes.question[0]
    assert done == []


async def test_a_call_that_failed_may_be_made_again_and_one_cut_off_not(settings: Settings, notes: Notes) -> None:
    bench = bench_of(settings, notes, trusted=["*"])
    for _ in range(2):
        with pytest.raises(EngineFailed):
            await bench.call(send, Text(text="fail"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bench.call(send, Text(text="hang")), 0.05)
    with pytest.raises(Conflict, match="'send' was cut off"):
        await bench.call(send, Text(text="hang"))
    for _ in range(2):
        await bench.call(keep, Text(text="k"))
    assert done == ["k", "k"]


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("see https://good.example/page", ""),
        ("see https://GOOD.example./page?q=1", ""),
        ("a and/or b, 1/2", ""),
        ("http://evil.example/?q=secret", "evil.example"),
        ("![x](HTTPS://evil.example/?q=secret)", "evil.example"),
        ("www.evil.example/?q=1", "www.evil.example"),
        ("//evil.example/a", "evil.example"),
        ("https://good.example@evil.example/", "evil.example"),
        ("https://evil.example\\@good.example/", "evil.example"),
        ("ftp://sub.good.example", "sub.good.example"),
        ("http://[::1", "[::1"),
    ],
)
async def test_a_model_reaches_only_hosts_that_were_named(
    settings: Settings, notes: Notes, text: str, reached: str
) -> None:
    bench = bench_of(settings, notes)
    assert bench.permit is not None
    bench = replace(bench, permit=bench.permit.by_model("Read https://good.example/ please."))
    for arguments in (Text(text=text), Text(more={"a": [text]}), Text(more={text: []})):
        if reached:
            with pytest.raises(Asked):
                await bench.call(read, arguments)
            assert reached in notes.question[0]
        else:
            await bench.call(read, arguments)
    if reached:
        notes.answer(ALL)
        await bench.call(read, Text(text=text))
        allowed = bench_of(settings, Notes(), hosts=["*evil.example*", "sub.*", "http*"]).permit
        assert allowed is not None
        if "[" not in text:
            await replace(bench, permit=allowed.by_model("")).call(read, Text(text=text))


def test_hosts() -> None:
    assert list(hosts_in("Go to (https://a.example:80/x), then www.b.example.")) == ["a.example", "www.b.example"]


async def test_the_langchain_tool_is_taken_to_be_called_by_a_model(settings: Settings, notes: Notes) -> None:
    with pytest.raises(Asked):
        await read.langchain(bench_of(settings, notes)).ainvoke({"text": "http://evil.example"})
