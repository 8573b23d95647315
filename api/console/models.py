"""Models: what is in memory and how much of it, what loading would do, and doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import ui

from api.console import theme
from api.models import listed, residency
from tools.admission import ResidentInfo
from tools.catalog import Row
from tools.errors import SutradharError
from tools.events import ModelEvent, ToolEvent

if TYPE_CHECKING:
    from api.console.app import Visit

_REFRESH_SECONDS = 1.0
_SHADES = ("#a4501f", "#5d6b82", "#3c7d4e", "#8a6d3b", "#7a4e7e", "#2f6f77")


async def build(visit: Visit) -> None:
    """The page."""
    with theme.card("Memory", "measured, in GB"):
        memory = ui.element("div")
    view = _Memory(visit, memory)
    with theme.card("Catalogue"):
        for row in sorted(visit.bench.catalog.models, key=lambda row: (row.status != "ready", row.capability, row.id)):
            _row(visit, row)
    view.refresh()
    ui.timer(_REFRESH_SECONDS, view.refresh)


class _Memory:
    """The devices' bars, redrawn when something has changed."""

    def __init__(self, visit: Visit, box: ui.element) -> None:
        self._models, self._box = residency(visit.host), box
        self._shown: object = None

    def refresh(self) -> None:
        residents, budgets = self._models.residents(), self._models.budgets()
        now = ([each.model_copy(update={"idle": 0.0}) for each in residents], budgets)
        if now == self._shown:
            return
        self._shown = now
        self._box.clear()
        with self._box:
            for device, gigabytes in budgets.items():
                _device(device, gigabytes["budget"], gigabytes["used"], residents)
            if not residents:
                ui.label("No model is in memory; they load when they are needed.").classes("faint")
            for resident in residents:
                self._resident(resident)

    def _resident(self, resident: ResidentInfo) -> None:
        async def unload() -> None:
            try:
                await self._models.unload(resident.model)
            except SutradharError as error:
                ui.notify(str(error), color="negative")

        with ui.element("div").classes("entry"):
            ui.label(resident.title)
            users = f", {resident.users} using it" if resident.users else ""
            held = ", ".join(f"{used:.2f} GB on {device}" for device, used in resident.memory.items())
            ui.label(f"{held}{users}").classes("faint")
            ui.label(resident.state).classes(f"badge {resident.state}")
            ui.button("Unload", on_click=unload).props("flat dense no-caps")


def _device(device: str, budget: float, used: float, residents: list[ResidentInfo]) -> None:
    with ui.element("div").classes("device"):
        with ui.element("div").classes("stage-line"):
            ui.label(device)
            ui.label(f"{used:.2f} of {budget:.1f} GB").classes("faint")
        with ui.element("div").classes("meter"):
            for n, resident in enumerate(residents):
                share = 100 * resident.memory.get(device, 0.0) / budget if budget else 0.0
                bar = ui.element("div").style(f"width: {share:.2f}%; background: {_SHADES[n % len(_SHADES)]}")
                bar.tooltip(resident.title)


def _row(visit: Visit, row: Row) -> None:
    about = listed(visit.host, row)
    with ui.element("div").classes("entry"):
        with ui.element("div"):
            ui.label(row.title)
            ui.label(row.id).classes("faint")
        with ui.element("div"):
            ui.label(f"{row.capability} · {row.licence}").classes("faint")
            if row.note:
                ui.label(row.note).classes("faint")
        if row.status != "ready":
            ui.label(f"{row.status} → {about.serves_as}" if about.serves_as else row.status).classes("badge")
            ui.label()
            return
        absent = "no key" if row.isolation == "remote" else "not fetched"
        state = ui.label("installed" if about.installed else absent)
        state.classes("badge ready" if about.installed else "badge")
        with ui.element("div"):
            ui.button("Plan", on_click=lambda: _plan(visit, row)).props("flat dense no-caps")
            ui.button("Load", on_click=lambda: _load(visit, row, state)).props("flat dense no-caps")


def _plan(visit: Visit, row: Row) -> None:
    try:
        plan = residency(visit.host).plan(row.id)
    except SutradharError as error:
        ui.notify(str(error), color="negative")
        return
    who = f", evicts {', '.join(plan.evicts)}" if plan.evicts else ""
    ui.notify(f"{plan.verdict} on {plan.device}{who}; {plan.memory:.1f} GB, about {plan.seconds:.0f} s. {plan.note}")


async def _load(visit: Visit, row: Row, state: ui.label) -> None:
    def emit(event: ToolEvent | ModelEvent) -> None:
        if isinstance(event, ModelEvent) and not state.is_deleted:
            done = f" {event.fraction:.0%}" if event.fraction is not None else ""
            state.text = f"{event.state}{done}"

    try:
        async with residency(visit.host).use(row.id, emit):
            state.text = "ready"
    except SutradharError as error:
        state.text = "failed"
        ui.notify(str(error), color="negative", timeout=0, close_button="OK")
