"""Who is asking. One default-deny check in front of every route, WebSocket, the MCP door and the console."""

import hashlib
import hmac
import ipaddress
import re
import socket
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from api.failures import failure_response
from tools.errors import Forbidden, SutradharError, Unauthorized
from tools.settings import Server

OPEN = frozenset({"/health", "/ready", "/login", "/logout", "/favicon.ico"})
"""Paths that answer without a key; everything else is closed."""

COOKIE = "sutradhar_session"
SESSION_SECONDS = 7 * 24 * 3600
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def is_loopback(host: str) -> bool:
    """Whether an address or host name stays on this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Keys:
    """The issued keys, by digest: comparison takes the same time whichever key is wrong."""

    def __init__(self, server: Server, service: str, signing: str) -> None:
        self._tenants = {_digest(key.get_secret_value()): tenant for tenant, key in server.keys.items()}
        self._service = _digest(service)
        self._signing = signing.encode()
        self.required = bool(server.keys)

    def tenant(self, key: str, asked: str | None) -> str:
        """Whose key this is. The service key, which never leaves this home, may speak for any tenant."""
        digest = _digest(key)
        if self.is_service(key):
            tenant = asked or "local"
            if not _TENANT.fullmatch(tenant):
                raise Forbidden(f"{tenant[:80]!r} is not a tenant's name.")
            return tenant
        found = [tenant for issued, tenant in self._tenants.items() if hmac.compare_digest(digest, issued)]
        if not found:
            raise Unauthorized("This key was not issued here.", remedy="Send `Authorization: Bearer <key>`.")
        return found[0]

    def is_service(self, key: str) -> bool:
        return hmac.compare_digest(_digest(key), self._service)

    def session(self, key: str) -> str:
        """A signed cookie value for the console; it ends with the key, which is part of the signature."""
        tenant = self.tenant(key, None)
        claim = f"{tenant}|{int(time.time()) + SESSION_SECONDS}"
        return f"{claim}|{self._sign(claim, _digest(key))}"

    def of_session(self, cookie: str) -> str | None:
        tenant, _, rest = cookie.partition("|")
        until, _, signature = rest.partition("|")
        digests = [digest for digest, owner in self._tenants.items() if owner == tenant]
        if not digests or not until.isdigit() or int(until) < time.time():
            return None
        expected = self._sign(f"{tenant}|{until}", digests[0])
        return tenant if hmac.compare_digest(expected.encode(), signature.encode()) else None

    def _sign(self, claim: str, digest: bytes) -> str:
        return hmac.new(self._signing + digest, claim.encode(), hashlib.sha256).hexdigest()


class Guard:
    """Pure ASGI middleware: checks Host and Origin, then the key; the request's state gets `tenant` and `service`."""

    def __init__(self, app: ASGIApp, server: Server, keys: Keys) -> None:
        self.app = app
        self._keys = keys
        self._origins = frozenset(server.origins)
        named = {server.host, "localhost", socket.gethostname().lower()}
        self._hosts = named | {urlsplit(origin).hostname or "" for origin in server.origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        try:
            self._check_addresses(headers)
            tenant = self._tenant(scope, headers)
        except SutradharError as error:
            return await _refuse(error, scope, receive, send, headers)
        key = bearer(headers)
        service = key is not None and self._keys.is_service(key)
        scope["state"] = {**scope.get("state", {}), "tenant": tenant, "service": service}
        return await self.app(scope, receive, send)

    def _check_addresses(self, headers: Headers) -> None:
        """Raise for a host name that is not ours (DNS rebinding) or a foreign browser origin."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise Forbidden(
                f"The host name {host[:80]!r} is not served here.",
                remedy="Use the address that `sutradhar up` printed, or add it to SUTRADHAR_SERVER__ORIGINS.",
            )
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins and urlsplit(origin).netloc != host:
            raise Forbidden(
                f"The browser origin {origin[:80]!r} may not call this host.",
                remedy="Add it to SUTRADHAR_SERVER__ORIGINS.",
            )

    def _is_ours(self, host: str) -> bool:
        # an address (not a name) cannot be rebound by DNS
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        return name in self._hosts or _is_address(name)

    def _is_preflight(self, scope: Scope, headers: Headers) -> bool:
        """A browser's question without credentials, which the CORS middleware answers and no route sees."""
        asks = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        return asks and headers.get("origin") in self._origins

    def _tenant(self, scope: Scope, headers: Headers) -> str | None:
        key, client = bearer(headers), scope.get("client")
        keyless = not self._keys.required and client is not None and is_loopback(client[0])
        if key is not None and (not keyless or self._keys.is_service(key)):
            return self._keys.tenant(key, headers.get("x-sutradhar-tenant"))
        # clients that insist on a key may send any to a host that has none
        if keyless:
            return "local"
        if (cookie := _cookies(headers).get(COOKIE)) and (tenant := self._keys.of_session(cookie)):
            return tenant
        if scope["type"] == "http" and (scope["path"] in OPEN or self._is_preflight(scope, headers)):
            return None
        raise Unauthorized(
            "This host needs a key.",
            remedy="Send `Authorization: Bearer <key>` or `X-API-Key: <key>`, or log in at /login.",
        )


def bearer(headers: Mapping[str, str]) -> str | None:
    """The key of a request, from `Authorization: Bearer` or `X-API-Key`."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return headers.get("x-api-key") or None


async def _refuse(error: SutradharError, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": error.message[:120]})
        return
    wants_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
    if isinstance(error, Unauthorized) and wants_page:
        await RedirectResponse("/login", status_code=303)(scope, receive, send)
        return
    await failure_response(error)(scope, receive, send)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
