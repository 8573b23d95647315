"""The reader: a plain blocking class that runs in a limited child and streams the blocks of one document."""

from collections.abc import Callable, Iterator
from pathlib import Path

from ingestion.documents.block import Block, Bounds
from ingestion.documents.guard import Format, check_archive, find_format
from ingestion.documents.markup import read_html, read_markdown
from ingestion.documents.office import read_docx, read_pptx, read_xlsx
from ingestion.documents.pdf import read_pdf
from ingestion.documents.picture import read_image
from ingestion.documents.plain import read_csv, read_subtitles, read_text
from tools.errors import UnsupportedMedia

_READERS: dict[Format, Callable[[Path, str, Bounds], Iterator[Block]]] = {
    "pdf": read_pdf,
    "docx": read_docx,
    "pptx": read_pptx,
    "xlsx": read_xlsx,
    "html": read_html,
    "markdown": read_markdown,
    "text": read_text,
    "csv": read_csv,
    "subtitles": read_subtitles,
    "image": read_image,
}


class Reader:
    """Reads a file by what its bytes say it is; `name` is what its owner calls it."""

    def __init__(self, path: Path, name: str, bounds: Bounds) -> None:
        self._path = path
        self._name = name
        self._bounds = bounds

    def read(self) -> Iterator[Block]:
        """The document's blocks in reading order.

        Raises `UnsupportedMedia` for a broken, encrypted or unknown file and `TooLarge` for one beyond the bounds.
        """
        format = find_format(self._path, self._name)
        if format is None:
            raise UnsupportedMedia(
                f"{self._name!r} is not a document that can be read.",
                remedy="Documents are PDF, DOCX, PPTX, XLSX, HTML, Markdown, text, CSV, subtitles and images.",
            )
        if format in {"docx", "pptx", "xlsx"}:
            check_archive(self._path, self._name, self._bounds)
        yield from _READERS[format](self._path, self._name, self._bounds)
