"""A tool is one async function with a pydantic input and a pydantic output; every surface comes from that declaration.

@tool(title="Detect language")
async def detect_language(input: Text, bench: Bench) -> Language:
    \"\"\"Say which language a text is in.\"\"\"
"""

import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar, get_type_hints
from uuid import uuid4

from langchain_core.tools import StructuredTool
from langgraph.runtime import Runtime
from pydantic import BaseModel, ValidationError

from tools.bench import Bench
from tools.capability import Part
from tools.errors import InvalidInput, NotFound
from tools.events import ToolEvent

In = TypeVar("In", bound=BaseModel)
Out = TypeVar("Out", bound=BaseModel)
State = TypeVar("State")

Effect = Literal["read", "write", "spend"]


@dataclass(frozen=True)
class Tool(Generic[In, Out]):
    """One declared tool. `effect` is what policy looks at: reads are free, writes and spending may need approval.

    `idempotent` says that a call made twice does what one does, so that one which was cut off may be repeated.
    """

    name: str
    title: str
    description: str
    effect: Effect
    input: type[In]
    output: type[Out]
    function: Callable[[In, Bench], Awaitable[Out]]
    idempotent: bool = False

    async def __call__(self, input: In, bench: Bench) -> Out:
        """Run the tool here, telling the bench's listener when it starts and ends."""
        call, started = uuid4().hex[:12], time.perf_counter()
        begun = ToolEvent(tool=self.name, call=call, state="started")
        bench.emit(begun)
        state: Literal["finished", "failed"] = "failed"
        try:
            permit = bench.permit.within(self.effect) if bench.permit else None
            output = await self.function(input, replace(bench, running=begun, permit=permit))
            state = "finished"
            return output
        finally:
            ms = round((time.perf_counter() - started) * 1000, 1)
            bench.emit(ToolEvent(tool=self.name, call=call, state=state, ms=ms))

    def parse(self, arguments: Mapping[str, Any]) -> In:
        """Arguments as the tool's input; raises `InvalidInput` naming the first argument that does not fit."""
        try:
            return self.input.model_validate(arguments)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            where = ".".join(str(step) for step in first["loc"]) or "input"
            value = "" if first["type"] == "missing" else f", got {str(first['input'])[:80]!r}"
            raise InvalidInput(
                f"Tool {self.name!r}, argument {where!r}: {first['msg']}{value}.",
                remedy=f"Its arguments are: {', '.join(self.input.model_fields)}.",
                param=where,
            ) from error

    def node(
        self, read: Callable[[State], In], write: Callable[[Out], dict[str, Any]]
    ) -> Callable[[State, Runtime[Any]], Awaitable[dict[str, Any]]]:
        """The tool as a LangGraph node: `read` takes its input out of the state, `write` makes the update.

        The graph's context must have the field `bench`.
        """

        async def run(state: State, runtime: Runtime[Any]) -> dict[str, Any]:
            bench: Bench = runtime.context.bench.listening(runtime.stream_writer)
            return write(await bench.call(self, read(state)))

        run.__name__ = self.name
        return run

    def langchain(self, bench: Bench) -> StructuredTool:
        """The tool as an agent's LangChain tool, working at this bench; a model writes its arguments."""
        if bench.permit is not None and bench.permit.hosts is None:
            bench = replace(bench, permit=bench.permit.by_model(""))

        async def run(**arguments: Any) -> dict[str, Any]:
            output = await bench.call(self, self.parse(arguments))
            return output.model_dump(mode="json", exclude_none=True)

        return StructuredTool.from_function(
            coroutine=run, name=self.name, description=self.description, args_schema=self.input
        )


def tool(
    *, title: str, effect: Effect = "read", name: str | None = None, idempotent: bool = False
) -> Callable[[Callable[[In, Bench], Awaitable[Out]]], Tool[In, Out]]:
    """Declare a tool. Its name is the function's, its description the docstring's first paragraph."""

    def declare(function: Callable[[In, Bench], Awaitable[Out]]) -> Tool[In, Out]:
        hints = get_type_hints(function)
        first = next(iter(inspect.signature(function).parameters))
        described = inspect.cleandoc(function.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        if not described:
            raise TypeError(f"Tool `{function.__name__}` needs a docstring: models choose tools by it.")
        return Tool(
            name=name or function.__name__,
            title=title,
            description=described,
            effect=effect,
            input=hints[first],
            output=hints["return"],
            function=function,
            idempotent=idempotent,
        )

    return declare


class Toolbox(Mapping[str, Tool[Any, Any]]):
    """Tools by name, in a stable order."""

    def __init__(self, tools: Iterable[Tool[Any, Any]]) -> None:
        self._tools: dict[str, Tool[Any, Any]] = {}
        for each in sorted(tools, key=lambda each: each.name):
            if each.name in self._tools:
                raise ValueError(f"Two tools are called {each.name!r}.")
            self._tools[each.name] = each

    def __getitem__(self, name: str) -> Tool[Any, Any]:
        if name not in self._tools:
            raise NotFound(
                f"There is no tool {name!r}.",
                remedy=f"The tools are: {', '.join(self._tools)}.",
                param="tool",
            )
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)


TOOLBOX: Part[Toolbox] = Part("toolbox")
"""The host's tools on the bench, for an agent that chooses among all of them."""
