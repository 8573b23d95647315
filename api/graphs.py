"""The graphs: what there is, drawn as Mermaid."""

from fastapi import APIRouter
from pydantic import BaseModel

from api.deps import HostDep

router = APIRouter(prefix="/api/v1/graphs", tags=["graphs"])


class Drawn(BaseModel):
    """A graph. The node names in `mermaid` are those of the `step` events."""

    name: str
    title: str
    description: str
    mermaid: str


@router.get("")
async def graphs(host: HostDep) -> list[Drawn]:
    """All graphs, the default one first."""
    return [draw(host, name) for name in host.runs.agents]


@router.get("/{name}")
async def graph(name: str, host: HostDep) -> Drawn:
    """One graph."""
    return draw(host, name)


def draw(host: HostDep, name: str) -> Drawn:
    mermaid = host.runs.draw(name)
    agent = host.runs.agents[name]
    return Drawn(name=agent.name, title=agent.title, description=agent.description, mermaid=mermaid)
