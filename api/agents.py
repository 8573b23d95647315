"""The agents' own endpoints, one for each agent that declares a door."""

from typing import Annotated, Any, cast

from fastapi import APIRouter, Header
from pydantic import BaseModel, create_model
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
            route(_endpoint(agent, agent.door.asks))
    return router


def _endpoint(agent: Agent, question: str) -> Any:
    takes = asked_model(agent, question)
    model = create_model(f"{agent.name.title()}Request", __base__=(takes, Streamed))

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
