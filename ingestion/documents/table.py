"""Rows into table blocks of a readable size, each with the header repeated, so that every block explains itself."""

from collections.abc import Iterable, Iterator, Sequence

from ingestion.documents.block import Block

_WORDS = 120
_CELL = 2_000


def table(rows: Iterable[Sequence[object]], *, page: int | None = None, heading: str | None = None) -> Iterator[Block]:
    """Blocks of `cell | cell` lines. The first row that is not empty is taken as the header."""
    filled = (line for row in rows if (line := _line(row)))
    header = next(filled, None)
    if header is None:
        return
    lines, words, only = [header], 0, True
    for line in filled:
        lines.append(line)
        words += len(line.split())
        if words >= _WORDS:
            yield Block("table", "\n".join(lines), page=page, heading=heading)
            lines, words, only = [header], 0, False
    if only or len(lines) > 1:
        yield Block("table", "\n".join(lines), page=page, heading=heading)


def _line(row: Sequence[object]) -> str:
    cells = ["" if cell is None else " ".join(str(cell).split())[:_CELL] for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return " | ".join(cells)
