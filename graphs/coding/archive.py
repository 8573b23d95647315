"""A repository out of an uploaded archive: unpacked in memory under limits, no links, no ways out, only text."""

import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from graphs.coding.state import File
from tools.errors import InvalidInput, TooLarge, UnsupportedMedia

MOST_FILES = 400
MOST_ENTRIES = 5_000
MOST_BYTES = 8 * 1024**2
"""Of text, unpacked."""

FILE_BYTES = 256 * 1024
RATIO = 200
_SKIPPED = {".git", "node_modules", "__pycache__", ".venv", "venv", "dist", "build", "target", ".idea", ".tox"}


def unpack(path: Path) -> list[File]:
    """The text files of a zip or tar, by their paths without the folder that holds them all.

    Raises `UnsupportedMedia` for any other file, `InvalidInput` for links and for paths that lead out, `TooLarge`.
    """
    if zipfile.is_zipfile(path):
        entries = _zipped(path)
    elif tarfile.is_tarfile(path):
        entries = _tarred(path)
    else:
        raise UnsupportedMedia("The archive is neither a zip nor a tar.", remedy="Send one of these.", param="archive")
    try:
        files = list(_read(entries))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, RuntimeError) as error:
        raise InvalidInput(f"The archive is damaged: {type(error).__name__}.", param="archive") from error
    if not files:
        raise InvalidInput("The archive holds no text files.", remedy="Send the sources.", param="archive")
    return _without_common_folder(files)


def _zipped(path: Path) -> Iterator[tuple[str, int, object]]:
    with zipfile.ZipFile(path) as archive:
        for count, entry in enumerate(archive.infolist()):
            _few(count)
            if entry.is_dir():
                continue
            if (entry.external_attr >> 16) & 0o170000 == 0o120000:
                raise InvalidInput(f"{entry.filename[:80]!r} is a link.", remedy="Pack without links.", param="archive")
            if entry.file_size > RATIO * max(entry.compress_size, 1_000):
                raise TooLarge(f"{entry.filename[:80]!r} unpacks to {entry.file_size:,} bytes.", param="archive")
            if _wanted(entry.filename, entry.file_size):
                with archive.open(entry) as file:
                    yield entry.filename, entry.file_size, file.read(FILE_BYTES + 1)


def _tarred(path: Path) -> Iterator[tuple[str, int, object]]:
    with tarfile.open(path) as archive:
        for count, entry in enumerate(archive):
            _few(count)
            if entry.isdir():
                continue
            if not entry.isreg():
                raise InvalidInput(
                    f"{entry.name[:80]!r} is a link or a device.", remedy="Pack plain files only.", param="archive"
                )
            # a gzip bomb is read through to skip over it: the sum of sizes bounds that
            if entry.offset_data > RATIO * max(path.stat().st_size, 10_000):
                raise TooLarge("The archive unpacks to far more than it is.", param="archive")
            if _wanted(entry.name, entry.size) and (file := archive.extractfile(entry)) is not None:
                yield entry.name, entry.size, file.read(FILE_BYTES + 1)


def _few(count: int) -> None:
    if count >= MOST_ENTRIES:
        raise TooLarge(f"The archive has more than {MOST_ENTRIES:,} entries.", remedy="Send a part.", param="archive")


def _wanted(name: str, size: int) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\x00" in name or ":" in path.parts[0]:
        raise InvalidInput(
            f"The archive's entry {name[:80]!r} leads out of it.", remedy="Pack it anew.", param="archive"
        )
    return size <= FILE_BYTES and not _SKIPPED & set(path.parts)


def _read(entries: Iterator[tuple[str, int, object]]) -> Iterator[File]:
    total, count = 0, 0
    for name, _, data in entries:
        if not isinstance(data, bytes) or b"\x00" in data or len(data) > FILE_BYTES:
            continue
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            continue
        total, count = total + len(data), count + 1
        if total > MOST_BYTES or count > MOST_FILES:
            raise TooLarge(
                f"The archive holds more than {MOST_FILES} text files or {MOST_BYTES:,} bytes of text.",
                remedy="Send the part that the task is about.",
                param="archive",
            )
        yield File(path=str(PurePosixPath(name.replace("\\", "/"))), text=text)


def _without_common_folder(files: list[File]) -> list[File]:
    """Without the one folder that archives of repositories begin with."""
    heads = {PurePosixPath(file.path).parts[0] for file in files}
    nested = all(len(PurePosixPath(file.path).parts) > 1 for file in files)
    if len(heads) != 1 or not nested or next(iter(heads)) in {"src", "lib", "test", "tests"}:
        return files
    return [file.model_copy(update={"path": file.path.partition("/")[2]}) for file in files]
