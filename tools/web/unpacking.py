"""Compressed answers, unpacked a piece at a time and never past their bounds."""

import zlib
from typing import Any

from tools.errors import EngineFailed, TooLarge, UnsupportedMedia

SMALL = 1 << 20
"""Bytes below which any ratio will do: short pages of white space compress very well."""


class Unpacker:
    """Takes the pieces of one answer; `feed` raises `TooLarge` before it has made more than allowed."""

    def __init__(self, encoding: str, *, most: int, ratio: float) -> None:
        if encoding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            raise UnsupportedMedia(f"The answer is packed as {encoding[:40]!r}, which was not asked for.")
        # 47: zlib or gzip, by the first bytes
        self._inflate: Any = None if encoding in {"", "identity"} else zlib.decompressobj(47)
        self._most = most
        self._ratio = ratio
        self._taken = 0
        self._made = 0

    def feed(self, piece: bytes) -> bytes:
        self._taken += len(piece)
        if self._inflate is None:
            made = piece
        else:
            try:
                made = self._inflate.decompress(piece, self._most - self._made + 1)
            except zlib.error as error:
                raise EngineFailed("The answer is broken: it cannot be unpacked.", remedy="Try again.") from error
        self._made += len(made)
        if self._made > self._most:
            raise TooLarge(
                f"The answer is larger than {self._most:,} bytes.",
                remedy="To read it, raise SUTRADHAR_WEB__PAGE_BYTES.",
            )
        if self._made > SMALL and self._made > self._ratio * self._taken:
            raise TooLarge(f"The answer is packed more than {self._ratio:g} times.", remedy="It is not opened.")
        return made
