"""The guarded fetcher: what it refuses to ask for, what it refuses to take, and that nothing leaks past it."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.tools.webs import Web, page, served, settings_for
from tools.errors import (
    Busy,
    EngineFailed,
    Forbidden,
    InvalidInput,
    NotFound,
    SutradharError,
    TooLarge,
    UnsupportedMedia,
)
from tools.settings import Settings
from tools.web.addresses import check, is_public, resolve
from tools.web.fetching import Order, Rules, fetch
from tools.web.unpacking import Unpacker

pytestmark = pytest.mark.anyio

INSIDE = (
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001"),
    *("0.0.0.0", "0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200"),  # noqa: S104
    *(
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "localhost",
        "LOCALHOST.",
    ),
    *(
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a00:1]",
    ),
    *(
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "[fe80::1]",
        "[fd00:ec2::254]",
    ),
    *("[fec0::1]", "[ff02::1]", "１２７.0.0.1", "127。0。0。1", "①②⑦.⓪.⓪.①", "0000000000000000000000177.0.0.1"),
)


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with served(
        Web(pages={"/a": page("A", "The first page says something."), "/b": page("B", "More.")})
    ) as opened:
        yield opened


def rules(settings: Settings, web: Web, **more: Any) -> Rules:
    return Rules.of(settings_for(settings, web, **more))


@pytest.mark.parametrize("host", INSIDE)
async def test_nothing_inside_is_asked_for(settings: Settings, host: str) -> None:
    canary, opened = Web(), settings.model_copy(update={"offline": False})
    async with served(canary):
        port = canary.url.rpartition(":")[2]
        for address in (f"http://{host}/", f"http://{host}:{port}/x", f"https://{host}/"):
            with pytest.raises(SutradharError) as caught:
                await fetch(address, Rules.of(opened))
            assert isinstance(caught.value, Forbidden | InvalidInput), caught.value
        assert not canary.asked


@pytest.mark.parametrize("host", [each for each in INSIDE if each[0].isdigit() or each[0] == "["])
async def test_no_spelling_resolves_to_the_inside(host: str) -> None:
    with pytest.raises(SutradharError):
        await resolve(check(f"http://{host}/"))


def test_public_addresses_are_public() -> None:
    for address in ("8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::808:808"):
        assert is_public(address), address


@pytest.mark.parametrize(
    "address",
    [
        *("file:///etc/passwd", "gopher://example.org/", "ftp://example.org/", "data:text/html,hi", "//example.org/"),
        *("javascript:alert(1)", "http://", "http:///x", "http://exa mple.org/", "http://example.org\\@127.0.0.1/", ""),
        *("http://[::1", "http://example.org:99999/", "http://example.org/\r\nHost: x", "http://" + "a" * 3000),
    ],
)
async def test_what_is_no_web_address_is_refused(settings: Settings, address: str) -> None:
    with pytest.raises(InvalidInput):
        check(address)


@pytest.mark.parametrize(
    "address",
    ["http://user:secret@example.org/", "http://user@example.org/", "http://example.org:22/", "http://a:6379/"],
)
def test_credentials_and_odd_ports_are_refused(address: str) -> None:
    with pytest.raises(Forbidden) as caught:
        check(address)
    assert "secret" not in str(caught.value)


def test_an_allowed_host_is_allowed_on_its_port_only() -> None:
    assert check("http://wiki.lan:8080/x", allow={"wiki.lan:8080"}).allowed
    assert check("http://wiki.lan/x", allow={"wiki.lan"}).allowed
    for address in ("http://wiki.lan:8081/", "http://wiki.lan:6379/"):
        with pytest.raises(Forbidden):
            check(address, allow={"wiki.lan:8080", "wiki.lan"})


async def test_a_page_is_read(settings: Settings, web: Web) -> None:
    fetched = await fetch(f"{web.url}/a#part", rules(settings, web))
    assert b"something" in fetched.data
    assert (fetched.media_type, fetched.url) == ("text/html", f"{web.url}/a")


async def test_redirects_are_checked_at_every_hop(settings: Settings, web: Web) -> None:
    fetched = await fetch(f"{web.url}/odd/away?to=/b", rules(settings, web))
    assert fetched.url == f"{web.url}/b"
    async with served(Web(pages={"/x": "secret"})) as canary:
        port = canary.url.rpartition(":")[2]
        closed = (f"{canary.url}/x", f"http://localhost:{port}/x", "http://169.254.169.254/latest", "http://127.1/")
        for inside in (*closed, "file:///etc/passwd", "//[::1]/"):
            with pytest.raises((Forbidden, InvalidInput)):
                await fetch(f"{web.url}/odd/away?to={inside}", rules(settings, web))
        assert not canary.asked


async def test_a_name_that_changes_its_mind_changes_nothing(
    settings: Settings, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer of the name server is public, every later one is the canary on loopback."""
    answers = iter(["93.184.216.34"])
    port = int(web.url.rpartition(":")[2])

    async def flips(host: str, port: int, **more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers, "127.0.0.1"), port))]

    tried = list[str]()

    async def connect(self: Any, sock: socket.socket, address: Any) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", flips)
    monkeypatch.setattr(type(loop), "sock_connect", connect)
    opened = settings.model_copy(update={"offline": False})
    monkeypatch.setattr("tools.web.addresses.PORTS", frozenset({port}))
    with pytest.raises(EngineFailed):
        await fetch(f"http://rebinding.example:{port}/a", Rules.of(opened))
    assert tried == ["93.184.216.34"]
    with pytest.raises(Forbidden):
        await fetch(f"http://rebinding.example:{port}/a", Rules.of(opened))
    assert not web.asked


@pytest.mark.parametrize(
    ("how", "error"),
    [
        *(("loop", EngineFailed), ("bomb", TooLarge), ("brotli", UnsupportedMedia), ("picture", UnsupportedMedia)),
        *(("flood", TooLarge), ("later", Busy)),
    ],
)
async def test_answers_beyond_the_bounds_are_refused(
    settings: Settings, web: Web, how: str, error: type[SutradharError]
) -> None:
    with pytest.raises(error):
        await fetch(f"{web.url}/odd/{how}", rules(settings, web, bytes=5_000_000))


@pytest.mark.parametrize("how", ["drip", "silence"])
async def test_a_slow_answer_is_given_up(settings: Settings, web: Web, how: str) -> None:
    began = time.monotonic()
    with pytest.raises(EngineFailed):
        await fetch(f"{web.url}/odd/{how}", rules(settings, web, seconds=1.0))
    assert time.monotonic() - began < 3


async def test_a_drip_is_given_up_before_the_time_is_over(
    settings: Settings, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.web.fetching._PATIENCE_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(EngineFailed, match="bytes a second"):
        await fetch(f"{web.url}/odd/drip", rules(settings, web, seconds=20))
    assert time.monotonic() - began < 3


async def test_an_offline_host_reads_nothing_but_what_is_allowed(settings: Settings, web: Web) -> None:
    assert settings.offline
    assert (await fetch(f"{web.url}/a", rules(settings, web))).data
    with pytest.raises(Forbidden, match="offline"):
        await fetch("http://example.org/", rules(settings, web))


async def test_an_order_with_secrets_is_never_redirected(settings: Settings, web: Web) -> None:
    with pytest.raises(EngineFailed, match="redirect"):
        await fetch(f"{web.url}/odd/away?to=/b", rules(settings, web), Order(headers={"X-Key": "secret"}))
    assert not web.asked["/b"]


async def test_an_absent_page_says_so(settings: Settings, web: Web) -> None:
    with pytest.raises(NotFound):
        await fetch(f"{web.url}/none", rules(settings, web))


def test_unpacking_never_makes_more_than_allowed() -> None:
    import zlib

    unpacker, packed = Unpacker("deflate", most=1_000_000, ratio=1e9), zlib.compress(b"\x00" * 5_000_000)
    made = len(unpacker.feed(packed[:500]))
    assert 0 < made <= 1_000_000
    with pytest.raises(TooLarge):
        unpacker.feed(packed[500:])
