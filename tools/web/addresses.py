"""Which addresses may be reached: how they are written, and what their names resolve to."""

import asyncio
import re
import socket
from collections.abc import Set
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from yarl import URL

from tools.errors import EngineFailed, Forbidden, InvalidInput

PORTS = frozenset({80, 443})

_LONGEST = 2_048
_RESOLVE_SECONDS = 5.0
# the last label of a name that a C library would read as a number: 2130706433, 0x7f.1, 0177.0.0.1
_NUMERIC = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")
_UNSEEN = re.compile(r"[\s\\\x00-\x1f\x7f]")
_NAT64 = ip_network("64:ff9b::/96")
# tunnels and mappings lead to IPv4 addresses by another name; Azure answers its guests on a public address; the rest is
# what Python 3.11 still takes for global
_CLOSED = tuple(
    ip_network(each)
    for each in (
        *("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "fec0::/10"),
        *("192.88.99.0/24", "168.63.129.16/32", "192.0.0.0/24", "3fff::/20", "5f00::/16"),
    )
)


@dataclass(frozen=True)
class Target:
    """An address that may be asked for; `allowed` when the owner named its host and port, whatever it resolves to."""

    url: URL
    host: str
    port: int
    allowed: bool


def is_public(address: str) -> bool:
    """Whether a numeric address is on the open internet, and leads nowhere else."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip in _NAT64:
        ip = IPv4Address(int(ip) & 0xFFFFFFFF)
    if any(ip.version == net.version and ip in net for net in _CLOSED):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def check(address: str, *, allow: Set[str] = frozenset()) -> Target:
    """The address, when its form may be asked for; `allow` has hosts (`wiki:8080`, or `wiki` for its usual port).

    Raises `InvalidInput` for what is no web address, `Forbidden` for one that is refused.
    """
    if len(address) > _LONGEST or _UNSEEN.search(address):
        raise InvalidInput(f"{address[:80]!r} is not a web address.", remedy="Write it without blanks.", param="url")
    try:
        url = URL(address).with_fragment(None)
        host, port = (url.raw_host or "").lower().rstrip("."), url.port
    except ValueError as error:
        raise InvalidInput(f"{address[:80]!r} is not a web address: {error}.", param="url") from error
    if url.scheme not in {"http", "https"} or not host or port is None:
        raise InvalidInput(
            f"{address[:80]!r} is not an http or https address.", remedy="Other schemes are not read.", param="url"
        )
    if url.user is not None or url.password is not None:
        raise Forbidden(f"An address of {host!r} carries credentials.", remedy="Take them out.")
    if ":" not in host and _NUMERIC.fullmatch(host) and not _is_dotted(host):
        raise Forbidden(f"{host!r} is a number in an unusual spelling.", remedy="Write the host's name.")
    usual = port == (443 if url.scheme == "https" else 80)
    allowed = f"{host}:{port}" in allow or (usual and host in allow)
    if port not in PORTS and not allowed:
        raise Forbidden(f"Port {port} of {host!r} is not one of the web's.", remedy=_remedy(host, port))
    return Target(url, host, port, allowed)


async def resolve(target: Target) -> tuple[str, ...]:
    """The numeric addresses that may be connected to, asked for once; raises `Forbidden` when none may be."""
    try:
        found: tuple[str, ...] = (str(ip_address(target.host)),)
    except ValueError:
        found = await _look_up(target)
    kept = found if target.allowed else tuple(each for each in found if is_public(each))
    if not kept:
        raise Forbidden(f"{target.host!r} is not on the open web.", remedy=_remedy(target.host, target.port))
    return kept


async def _look_up(target: Target) -> tuple[str, ...]:
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            infos = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise EngineFailed(f"{target.host!r} could not be found.", remedy="Is this machine online?") from error
    return tuple(dict.fromkeys(str(info[4][0]) for info in infos))


def _is_dotted(host: str) -> bool:
    try:
        return str(IPv4Address(host)) == host
    except ValueError:
        return False


def _remedy(host: str, port: int) -> str:
    return f"""To allow it, set SUTRADHAR_WEB__ALLOW='["{host}:{port}"]'."""
