"""The run's own folders: in memory, in a mount namespace that nobody else sees and that ends with its keeper."""

import base64
import importlib.util
import marshal
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tools.confinement import inside
from tools.confinement.job import Bind, File, Job
from tools.confinement.kernel import (
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    MS_REMOUNT,
    mount,
    unshare,
)

INSIDE = "/opt/inside.pyc"
FOLDERS = ("work", "build", "tmp", "shm")
# every Linux has one of them, and in our own namespace it is ours to hide
_PLACES = ("/mnt", "/media", "/srv", "/opt")
_INODES = 20_000
_DEPTH = 40
_ACCOUNTS = {
    "passwd": "root:x:0:0::/:/bin/false\nuser:x:1000:1000::/work:/bin/sh\n",
    "group": "root:x:0:\nuser:x:1000:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
}


@dataclass
class Workspace:
    """`root` holds `rw/<folder>` and the read-only things; `shown` pairs what lies here with its place inside.

    `hidden` is what `root` was mounted over.
    """

    root: Path
    hidden: int
    shown: list[tuple[str, str]] = field(default_factory=list)
    before: dict[str, tuple[int, int]] = field(default_factory=dict)


def open_workspace() -> Workspace:
    """Make the namespace and its file systems."""
    _leave(os.geteuid(), os.getegid())
    root = next(Path(each) for each in _PLACES if Path(each).is_dir())
    workspace = Workspace(root, os.open(root, os.O_PATH))
    mount("tmpfs", str(root), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=4096,mode=0755")
    (root / "rw").mkdir()
    mount("tmpfs", str(root / "rw"), "tmpfs", MS_NOSUID | MS_NODEV, f"size=64k,nr_inodes={_INODES},mode=0755")
    for name in FOLDERS:
        (root / "rw" / name).mkdir(mode=0o700)
    (root / "etc").mkdir()
    for name, text in _ACCOUNTS.items():
        (root / "etc" / name).write_text(text)
        workspace.shown.append((str(root / "etc" / name), f"/etc/{name}"))
    (root / "inside.pyc").write_bytes(compiled())
    workspace.shown.append((str(root / "inside.pyc"), INSIDE))
    (root / "links").mkdir()
    workspace.shown.append((str(root / "links"), "/opt/links"))
    return workspace


@cache
def compiled() -> bytes:
    """`inside` as the interpreter runs it fastest; the one inside is the same as ours."""
    code = compile(Path(inside.__file__).read_bytes(), "inside.py", "exec")
    # flags, time and size of the source: not looked at when such a file is the program
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


def fill(workspace: Workspace, job: Job) -> None:
    """Show what the job needs, and write the program's files."""
    user, group = (os.geteuid(), os.getegid()) if job["user"] is None else (job["user"], job["user"])
    for number, bind in enumerate(job["binds"]):
        _show(workspace, number, bind)
    for name, to in job["links"].items():
        link = workspace.root / "links" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(to)
    writable = workspace.root / "rw"
    options = f"size={job['limits']['disk_bytes']}"
    mount("tmpfs", str(writable), "tmpfs", MS_REMOUNT | MS_NOSUID | MS_NODEV, options)
    for name in FOLDERS:
        os.chown(writable / name, user, group)
    _write_files(writable / "work", job["files"], user, group)
    workspace.before = {path: (state.st_ctime_ns, state.st_size) for path, state, _ in _walk(writable / "work")}


def _leave(user: int, group: int) -> None:
    if user == 0:
        unshare(CLONE_NEWNS)
    else:
        unshare(CLONE_NEWUSER | CLONE_NEWNS)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path("/proc/self", name).write_text(text)
    mount("none", "/", "", MS_REC | MS_PRIVATE)


def _show(workspace: Workspace, number: int, bind: Bind) -> None:
    """Bind it here: a user without rights on the way to an interpreter can still be shown it."""
    host, root = Path(bind["host"]), workspace.root
    if host.is_relative_to(root):
        opened = os.open(host.relative_to(root), os.O_PATH, dir_fd=workspace.hidden)
    else:
        opened = os.open(host, os.O_PATH)
    target = root / f"bind{number}"
    if stat.S_ISDIR(os.fstat(opened).st_mode):
        target.mkdir()
    else:
        target.touch()
    mount(f"/proc/self/fd/{opened}", str(target), "", MS_BIND | MS_REC)
    os.close(opened)
    workspace.shown.append((str(target), bind["inside"]))


def _write_files(folder: Path, files: dict[str, str], user: int, group: int) -> None:
    for path, data in files.items():
        target = folder / path
        for parent in reversed(target.relative_to(folder).parents[:-1]):
            if not (folder / parent).is_dir():
                (folder / parent).mkdir(mode=0o755)
                os.chown(folder / parent, user, group)
        target.write_bytes(base64.b64decode(data))
        target.chmod(0o755 if data.startswith("IyE") else 0o644)  # "#!" in base64
        os.chown(target, user, group)


def collect(workspace: Workspace, most: int, most_bytes: int) -> tuple[list[File], int]:
    """The regular files that were made or changed, the first `most` of them, small ones with their contents."""
    files, left_out, room = list[File](), 0, most_bytes
    for path, state, folder in _walk(workspace.root / "rw" / "work"):
        if workspace.before.get(path) == (state.st_ctime_ns, state.st_size):
            continue
        if len(files) >= most:
            left_out += 1
            continue
        data = _read(folder, Path(path).name, state.st_size) if state.st_size <= room else None
        room -= len(data or b"")
        text = None if data is None else base64.b64encode(data).decode()
        files.append(File(path=os.fsencode(path).decode(errors="replace"), size=state.st_size, data=text))
    return files, left_out


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result, int]]:
    """Regular files below, by relative path, with their open folder. Follows no link: their maker is not trusted."""
    for root, folders, names, opened in os.fwalk(folder, follow_symlinks=False):
        relative = Path(root).relative_to(folder)
        folders[:] = [] if len(relative.parts) >= _DEPTH else sorted(folders)
        for name in sorted(names):
            try:
                state = os.stat(name, dir_fd=opened, follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(state.st_mode):
                yield str(relative / name), state, opened


def _read(folder: int, name: str, size: int) -> bytes | None:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(file, "rb") as opened:
        return opened.read(size)
