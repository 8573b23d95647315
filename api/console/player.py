"""The sticky player beside a page: a film at its moment, or the picture of a page."""

from nicegui import ui

from graphs.events import Citation
from knowledge.segment import moment


def place(citation: Citation) -> str:
    """Where it is, without the source's name."""
    if citation.start is not None:
        end = f"–{moment(citation.end)}" if citation.end is not None else ""
        return f"{moment(citation.start)}{end}"
    return f"page {citation.page}" if citation.page is not None else citation.modality


class Player:
    """Shows one medium at a time; `open` seeks it."""

    def __init__(self, frame: ui.element) -> None:
        self._frame = frame
        self._media = ""
        self._video: ui.video | None = None
        with ui.element("aside").classes("side") as self._side:
            pass

    def open(self, citation: Citation) -> None:
        """Show a citation's moment or page."""
        self._frame.classes(remove="no-player")
        if citation.start is None:
            self._page(citation)
            return
        if self._video is None or self._media != citation.media:
            self._film(citation)
        assert self._video is not None  # noqa: S101 set by `_film`
        self._video.seek(citation.start)
        self._video.play()
        self._caption.text = f"{citation.source}  {place(citation)}"
        self._said.text = citation.text

    def _film(self, citation: Citation) -> None:
        self._media = citation.media
        self._side.clear()
        with self._side:
            self._video = ui.video(f"/api/v1/media/{citation.media}").props("playsinline preload=metadata")
            self._caption = ui.label().classes("where")
            self._said = ui.label().classes("faint")

    def _page(self, citation: Citation) -> None:
        self._video, self._media = None, ""
        self._side.clear()
        with self._side:
            if citation.thumbnail:
                ui.element("img").props(f'src="{citation.thumbnail}" alt="page"')
            ui.label(f"{citation.source}  {place(citation)}").classes("where")
            ui.label(citation.text).classes("faint")
            anchor = f"#page={citation.page}" if citation.page else ""
            ui.link("Open the document", f"/api/v1/media/{citation.media}{anchor}", new_tab=True).classes("faint")
