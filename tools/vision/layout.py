"""What stands where on a page, by rules over its lines: reading order, tables, fields of forms.

Reading order is a recursive cut along empty bands (XY-cut, Nagy and Seth 1984), after tables were taken out whole.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tools.vision import Box, TextLine

_SAME_ROW = 0.5
"""Share of the lower line's height that two lines of one row have in common."""
_COLUMN_GAP = 1.2
"""Empty width between columns, in heights of a line."""
_CELL_GAP = 0.6
"""Empty width between the cells of a table, in heights of a line."""
_ROW_GAP = 2.0
"""Empty height that ends a table, in heights of a line."""
_PARAGRAPH_GAP = 0.9
"""Empty height that ends a paragraph, in heights of a line."""
_WORDS = 5
"""Words of the middle cell above which rows side by side are columns of prose, not a table."""
_LABEL = re.compile(r"(?P<label>[^:\N{FULLWIDTH COLON}]{1,48}?)\s*[:\N{FULLWIDTH COLON}]\s*(?P<value>.*)")
_CLOCK = re.compile(r"\d$")
_BLANK = re.compile(r"[_.\s]{3,}$")


@dataclass(frozen=True)
class Table:
    """`rows` all have the same number of cells; a cell that is not there is empty."""

    box: Box
    rows: list[list[str]]


@dataclass(frozen=True)
class FormField:
    """A label and what was written to it; `value` is empty where nothing was."""

    label: str
    value: str
    box: Box


@dataclass(frozen=True)
class Page:
    """`blocks` in reading order: paragraphs of lines and tables."""

    blocks: list[list[TextLine] | Table]
    fields: list[FormField]

    @property
    def lines(self) -> list[TextLine]:
        """The lines outside tables, in reading order."""
        return [line for block in self.blocks if isinstance(block, list) for line in block]

    @property
    def tables(self) -> list[Table]:
        return [block for block in self.blocks if isinstance(block, Table)]

    @property
    def text(self) -> str:
        """Lines under each other, cells between bars, an empty line between blocks."""
        return "\n\n".join(
            "\n".join(" | ".join(row) for row in block.rows)
            if isinstance(block, Table)
            else "\n".join(line.text for line in block)
            for block in self.blocks
        )


Block = tuple[Box, list[TextLine] | Table]


def lay_out(lines: Sequence[TextLine], wide: int, tall: int) -> Page:
    """The page that these lines stand on; `wide` and `tall` are its size in pixels."""
    if not lines:
        return Page([], [])
    height = median(line.box[3] - line.box[1] for line in lines)
    # widths count as heights do only in pixels
    aspect = tall / wide
    tables = list(_tables(lines, height, aspect))
    inside = {id(line) for members, _ in tables for line in members}
    blocks: list[Block] = [(_around(line.box for line in members), table) for members, table in tables]
    blocks += [(line.box, [line]) for line in lines if id(line) not in inside]
    groups = _ordered(blocks, _COLUMN_GAP * height * aspect)
    return Page([block for group in groups for block in _paragraphs(group, height)], list(_fields(lines)))


def rows_of(lines: Iterable[TextLine]) -> list[list[TextLine]]:
    """Lines at one height together, from left to right; rows from top to bottom."""
    rows = list[list[TextLine]]()
    for line in sorted(lines, key=lambda line: line.box[1] + line.box[3]):
        row = rows[-1] if rows else []
        if row and _shared(row[-1].box, line.box) >= _SAME_ROW:
            row.append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.box[0]) for row in rows]


def _tables(lines: Sequence[TextLine], height: float, aspect: float) -> Iterator[tuple[list[TextLine], Table]]:
    """Two or more rows of short cells that stand under each other; three where there are only two columns."""
    run = list[list[TextLine]]()
    for row in [*rows_of(lines), []]:
        near = bool(run) and bool(row) and _top(row) - _bottom(run[-1]) <= _ROW_GAP * height
        if len(row) > 1 and (not run or (near and _columns([*run, row], height, aspect))):
            run.append(row)
            continue
        if found := _as_table(run, height, aspect):
            yield found
        run = [row] if len(row) > 1 else []


def _as_table(run: list[list[TextLine]], height: float, aspect: float) -> tuple[list[TextLine], Table] | None:
    columns = _columns(run, height, aspect) if len(run) > 1 else []
    if len(columns) < 2 or len(run) + len(columns) < 5:
        return None
    members = [line for row in run for line in row]
    if median(len(line.text.split()) for line in members) > _WORDS:
        return None
    rows = [
        [" ".join(line.text for line in row if _column(line, columns) == n) for n in range(len(columns))] for row in run
    ]
    return members, Table(_around(line.box for line in members), rows)


def _columns(rows: list[list[TextLine]], height: float, aspect: float) -> list[tuple[float, float]]:
    """What is covered by cells of any row, from left to right; empty unless empty bands part every row's cells."""
    covered = list[tuple[float, float]]()
    for left, _, right, _ in sorted(line.box for row in rows for line in row):
        if covered and left < covered[-1][1]:
            covered[-1] = (covered[-1][0], max(covered[-1][1], right))
        else:
            covered.append((left, right))
    for row in rows:
        places = [_column(line, covered) for line in row]
        if len(set(places)) < len(places):
            return []
    gaps = [after[0] - before[1] for before, after in pairwise(covered)]
    return covered if all(gap >= _CELL_GAP * height * aspect for gap in gaps) else []


def _column(line: TextLine, columns: list[tuple[float, float]]) -> int:
    middle = (line.box[0] + line.box[2]) / 2
    return min(range(len(columns)), key=lambda n: max(columns[n][0] - middle, middle - columns[n][1], 0.0))


def _ordered(blocks: list[Block], gap: float) -> list[list[Block]]:
    """Blocks in reading order, grouped by column; `gap` is the least width between columns, a fraction of the page."""
    if len(columns := _cut(blocks, 0, gap)) > 1:
        return [group for column in columns for group in _ordered(column, gap)]
    groups = list[list[Block]]()
    for run in _runs(_cut(blocks, 1, 0.0), gap):
        if len(_cut(run, 0, gap)) > 1:
            groups += _ordered(run, gap)
        else:
            groups.append(sorted(run, key=lambda block: (block[0][1], block[0][0])))
    return groups


def _runs(rows: list[list[Block]], gap: float) -> list[list[Block]]:
    """Rows under each other joined as long as the same empty band parts them, or as long as nothing does."""
    runs, parted = list[list[Block]](), False
    for row in rows:
        if runs and (len(_cut([*runs[-1], *row] if parted else row, 0, gap)) > 1) == parted:
            runs[-1] += row
        else:
            runs.append([*row])
            parted = len(_cut(row, 0, gap)) > 1
    return runs


def _cut(blocks: list[Block], axis: int, least: float) -> list[list[Block]]:
    """The blocks in groups with empty bands of at least this size between them, across (0) or down (1) the page."""
    groups, end = list[list[Block]](), 0.0
    for block in sorted(blocks, key=lambda block: block[0][axis]):
        if groups and block[0][axis] - end < least:
            groups[-1].append(block)
        else:
            groups.append([block])
        end = max(end, block[0][axis + 2])
    return groups


def _paragraphs(group: list[Block], height: float) -> Iterator[list[TextLine] | Table]:
    paragraph, bottom = list[TextLine](), 0.0
    for box, content in group:
        apart = isinstance(content, Table) or box[1] - bottom > _PARAGRAPH_GAP * height
        if paragraph and apart:
            yield paragraph
            paragraph = []
        if isinstance(content, Table):
            yield content
        else:
            paragraph = [*paragraph, *content]
        bottom = box[3]
    if paragraph:
        yield paragraph


def _fields(lines: Sequence[TextLine]) -> Iterator[FormField]:
    """`Label: value` in one line, and labels that end in a colon with their value to the right."""
    for row in rows_of(lines):
        for place, line in enumerate(row):
            match = _LABEL.fullmatch(line.text)
            if match is None or _CLOCK.search(match["label"]) or not any(map(str.isalpha, match["label"])):
                continue
            value, right = _BLANK.sub("", match["value"]).strip(), row[place + 1] if place + 1 < len(row) else None
            if not value and right is not None and not _LABEL.fullmatch(right.text):
                value = right.text
            yield FormField(match["label"].strip(), value, line.box)


def _shared(one: Box, other: Box) -> float:
    """How much of the lower one's height both have in common."""
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return shared / max(min(one[3] - one[1], other[3] - other[1]), 1e-9)


def _around(boxes: Iterable[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _top(row: list[TextLine]) -> float:
    return min(line.box[1] for line in row)


def _bottom(row: list[TextLine]) -> float:
    return max(line.box[3] for line in row)
