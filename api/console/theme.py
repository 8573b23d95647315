"""How the console looks: one frame around every page, and the style sheet."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from nicegui import ui

PAGES = (
    ("/", "Chat", "forum"),
    ("/library", "Library", "video_library"),
    ("/video", "Video", "movie"),
    ("/graphs", "Graphs", "account_tree"),
    ("/voices", "Voices", "record_voice_over"),
    ("/models", "Models", "memory"),
)


@contextmanager
def page(path: str, *, keyed: bool) -> Iterator[None]:
    """The frame of a page: navigation above, content below."""
    ui.add_css(files("api").joinpath("console", "console.css").read_text(encoding="utf-8"))
    ui.colors(primary="#a4501f", secondary="#5d6b82", accent="#a4501f", positive="#3c7d4e", negative="#b3372f")
    dark = ui.dark_mode(None)
    with ui.header().classes("bar"):
        ui.link("Sutradhar", "/").classes("brand")
        with ui.element("nav").classes("nav"):
            for target, title, icon in PAGES:
                with ui.link(target=target).classes("nav-item" + (" here" if target == path else "")):
                    ui.icon(icon)
                    ui.label(title)
        ui.space()
        ui.button(icon="contrast", on_click=lambda: _turn(dark)).props("flat round dense").classes("quiet").tooltip(
            "Light or dark"
        )
        if keyed:
            with ui.element("form").props("method=post action=/logout"):
                ui.button(icon="logout").props("flat round dense type=submit").classes("quiet").tooltip("Log out")
    with ui.element("main").classes("page"):
        yield


def _turn(dark: ui.dark_mode) -> None:
    # after «auto» the first press means dark: the server cannot see what the browser chose
    dark.value = not dark.value


@contextmanager
def card(title: str = "", note: str = "") -> Iterator[None]:
    """A panel with a heading."""
    with ui.element("section").classes("card"):
        if title:
            with ui.element("header").classes("card-head"):
                ui.label(title).classes("card-title")
                if note:
                    ui.label(note).classes("faint")
        yield


def empty(text: str, icon: str = "inbox") -> ui.element:
    """What stands where there is nothing yet."""
    with ui.element("div").classes("empty") as box:
        ui.icon(icon)
        ui.label(text)
    return box
