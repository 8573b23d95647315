"""The agents' own endpoints, one for each agent that declares a door."""

from copy import copy
from typing import Annotated, Any, cast

from fastapi import APIRouter, Header
from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from starlette.responses import Response

from api.chat import Answered, Limits, conclude, run_stream
from api.deps import HostDep, TenantDep
from graphs.asking import Asked, ask_of, asked_model
from graphs.catalog import Agent, agents


class Streamed(BaseModel):
    """`stream` answers with the run's events instead of its end, as `Accept: text/event-stream` does."""

    budget: Limits = Limits()
    stream: bool = False


def agents_router() -> APIRouter:
    router = APIRouter(prefix="/api/v1/agent", tags=["agents"])
    for agent in agents().values():
        if agent.door is not None:
            path = f"/{agent.door.path}"
            streams: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
            route = router.post(path, summary=agent.title, response_model=Answered, responses=streams)
            route(_endpoint(agent, agent.door.asks, agent.door.needs))
    return router


def _needed(field: FieldInfo) -> FieldInfo:
    """The same field without its default."""
    needed = copy(field)
    needed.default, needed.default_factory = PydanticUndefined, None
    return needed


def _endpoint(agent: Agent, question: str, needs: tuple[str, ...]) -> Any:
    takes = asked_model(agent, question)
    needed = {name: (takes.model_fields[name].annotation, _needed(takes.model_fields[name])) for name in needs}
    fields: dict[str, Any] = needed
    model = create_model(f"{agent.name.title()}Request", __base__=(takes, Streamed), **fields)

    async def ask(
        given: Asked, host: HostDep, tenant: TenantDep, accept: Annotated[str, Header()] = "application/json"
    ) -> Response | Answered:
        host.streams.admit()
        extra = cast("Streamed", given)
        budget = extra.budget.within(host.settings.budget)
        asked = ask_of(agent, question, given)
        run = await host.runs.start(agent.name, asked, thread=given.thread, tenant=tenant, budget=budget)
        if not extra.stream and "text/event-stream" not in accept:
            return await conclude(host, tenant, run)
        row = await host.runs.run(run, tenant=tenant)
        return run_stream(host, tenant, run, headers={"X-Run-Id": run, "X-Thread-Id": row.thread})

    ask.__annotations__["given"] = model
    ask.__doc__ = agent.description
    return ask
