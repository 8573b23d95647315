"""Whether the host lives, whether it can work, and its metrics."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from api.deps import HostDep

router = APIRouter(tags=["health"])


@router.get("/health")
async def health(host: HostDep) -> dict[str, str]:
    """Alive: the event loop answers."""
    return {"status": "alive", "instance": host.instance}


@router.get("/ready")
async def ready(host: HostDep) -> JSONResponse:
    """Ready: the segment store answers and the profile's models are installed."""
    problems = await host.problems()
    state = {"status": "ready" if not problems else "not ready", "problems": problems}
    return JSONResponse(state, status_code=503 if problems else 200)


@router.get("/metrics")
async def metrics(host: HostDep) -> Response:
    """Prometheus metrics."""
    host.metrics.streams.set(host.streams.open)
    return Response(generate_latest(host.metrics.registry), media_type=CONTENT_TYPE_LATEST)
