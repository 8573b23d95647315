"""Request ids and metrics, by route template so that the number of series stays bounded."""

import re
import time
from uuid import uuid4

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """The host's metrics in a registry of its own, so that two hosts can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "sutradhar_request_seconds",
            "From the request to its last byte.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.first_event = Histogram(
            "sutradhar_first_event_seconds",
            "From a streamed request to its first event.",
            ["door"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.streams = Gauge("sutradhar_open_streams", "Streams open now.", registry=self.registry)
        self.loads = Counter(
            "sutradhar_model_loads", "Model loads by outcome.", ["model", "state"], registry=self.registry
        )
        self.ingest = Histogram(
            "sutradhar_ingest_seconds",
            "Wall time of one source's ingestion.",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.hits = Histogram(
            "sutradhar_retrieval_hits",
            "Moments found per search.",
            ["door"],
            buckets=(0, 1, 3, 5, 10, 20, 50, 100),
            registry=self.registry,
        )


class Observe:
    """Pure ASGI middleware, outermost: gives each request its id and times it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = Headers(scope=scope).get("x-request-id", "")
        identity = given if _ID.fullmatch(given) else uuid4().hex
        scope["state"] = {**scope.get("state", {}), "request_id": identity}
        started, status = time.perf_counter(), 500

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = identity
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - started
            self._metrics.requests.labels(scope["method"], route, str(status)).observe(seconds)
