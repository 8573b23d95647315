"""Graphs: the machine drawn, its running node lit, and what its state was at every checkpoint."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from nicegui import ui

from api.console import theme
from graphs.catalog import Ask
from graphs.events import RunFinished, Step
from graphs.runs import Snapshot
from tools.errors import SutradharError

if TYPE_CHECKING:
    from api.console.app import Visit

_LIT = "classDef lit fill:#f0b27a,stroke:#a4501f,stroke-width:2px,color:#1f2532"
_DONE = "classDef past fill:#dfeadf,stroke:#3c7d4e,color:#1f2532"


def light(mermaid: str, running: set[str], past: set[str]) -> str:
    """The drawing with its running and finished nodes marked."""
    # LangGraph writes the node of a sub-graph as `agent\\3anode`, and draws the sub-graph's own node as a frame
    names = {node: "\\3a".join(re.sub(r"\W", "_", part) for part in node.split("/")) for node in running | past}
    lines = [mermaid.rstrip(), _LIT, _DONE]
    lines += [f"class {names[node]} past" for node in sorted(past - running)]
    lines += [f"class {names[node]} lit" for node in sorted(running)]
    return "\n".join(lines)


async def build(visit: Visit, thread: str) -> None:
    """The page."""
    agents = visit.host.runs.agents
    threads = await visit.host.runs.threads(tenant=visit.tenant, limit=40)
    titles = {each.thread: Ask.model_validate_json(each.ask).question[:70] for each in threads}
    with ui.element("div").classes("two"):
        with ui.element("div"):
            with theme.card("Graph"):
                chosen = ui.select({name: agent.title for name, agent in agents.items()}, value=next(iter(agents)))
                chosen.props("dense outlined").style("max-width: 280px")
                drawing = ui.mermaid("flowchart TD").classes("drawn")
            with theme.card("Run it and watch"):
                question = ui.input(placeholder="A question").props("dense outlined").style("width: 100%")
                said = ui.label().classes("faint")
        with ui.element("div"), theme.card("Checkpoints"):
            picked = ui.select(titles, value=thread if thread in titles else None, label="Thread", clearable=True)
            picked.props("dense outlined").style("width: 100%; margin-bottom: 8px")
            states = ui.element("div").classes("states")
            detail = ui.label().classes("json")
            detail.set_visibility(False)
    view = _Graph(visit, drawing, said, states, detail)
    view.draw(chosen.value)
    chosen.on_value_change(lambda: view.draw(chosen.value))

    async def show() -> None:
        await view.history(picked.value)

    picked.on_value_change(show)
    await show()

    async def run() -> None:
        found = await view.run(chosen.value, question.value or "")
        if found:
            titles[found] = (question.value or "")[:70]
            picked.set_options(titles, value=found)

    question.on("keydown.enter", run)


class _Graph:
    """The drawing and the checkpoints of one visitor's page."""

    def __init__(self, visit: Visit, drawing: ui.mermaid, said: ui.label, states: ui.element, detail: ui.label) -> None:
        self._visit, self._drawing, self._said, self._states, self._detail = visit, drawing, said, states, detail
        self._mermaid = ""

    def draw(self, name: str) -> None:
        drawn = self._visit.host.runs.draw(name)
        # the theme header of LangGraph would override the console's colours
        self._mermaid = re.sub(r"^---.*?---\s*", "", drawn, flags=re.DOTALL)
        self._drawing.set_content(self._mermaid)

    async def run(self, name: str, question: str) -> str | None:
        """Run the graph and light its nodes; returns the thread."""
        if not question.strip():
            return None
        runs, tenant = self._visit.host.runs, self._visit.tenant
        running, past = set[str](), set[str]()
        try:
            run = await runs.start(name, question[:20_000], tenant=tenant)
        except SutradharError as error:
            self._said.text = str(error)
            return None
        async for _, event in runs.stream(run, tenant=tenant):
            if self._drawing.is_deleted:
                return None
            if isinstance(event, Step):
                (running.add if event.state == "started" else running.discard)(event.node)
                past |= {event.node} if event.state == "finished" else set()
                self._drawing.set_content(light(self._mermaid, running, past))
                self._said.text = f"{event.node} {event.state}  {event.note}"
            elif isinstance(event, RunFinished):
                self._said.text = f"{event.status} after {event.usage.seconds:.1f} s  {event.reason}"
        return (await runs.run(run, tenant=tenant)).thread

    async def history(self, thread: str | None) -> None:
        """The thread's checkpoints, the latest first."""
        self._states.clear()
        self._detail.set_visibility(False)
        with self._states:
            if not thread:
                theme.empty("Choose a thread to see its state at every step.", "history")
                return
            for state in await self._visit.host.runs.history(thread, tenant=self._visit.tenant):
                self._state(thread, state)

    def _state(self, thread: str, state: Snapshot) -> None:
        with ui.element("div").classes("state").on("click", lambda: self._show(state)):
            ui.label(f"step {state.step}" + (f" → {', '.join(state.next)}" if state.next else " · end")).classes(
                "where"
            )
            ui.label((state.created or "")[:19].replace("T", " ")).classes("faint")
            if state.next:
                ui.button("Fork here", on_click=lambda: self._fork(thread, state.checkpoint)).props(
                    "flat dense no-caps"
                )

    def _show(self, state: Snapshot) -> None:
        self._detail.text = json.dumps(state.values, ensure_ascii=False, indent=2)[:20_000]
        self._detail.set_visibility(True)

    async def _fork(self, thread: str, checkpoint: str) -> None:
        try:
            await self._visit.host.runs.fork(thread, checkpoint, tenant=self._visit.tenant)
            ui.navigate.to(f"/?thread={thread}")
        except SutradharError as error:
            ui.notify(str(error), color="negative")
