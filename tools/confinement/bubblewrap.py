"""bubblewrap's arguments for one command."""

from pathlib import Path

from tools.confinement.job import Job
from tools.confinement.stage import SECCOMP, STATUS
from tools.confinement.workspace import INSIDE, Workspace

_ALIASES = ("bin", "sbin", "lib", "lib32", "lib64")
# where a linker and Debian's alternatives look; nothing that tells of the host
_ETC = ("ld.so.cache", "alternatives")
_PATH = "/opt/links/bin:/usr/local/bin:/usr/bin:/bin"


def arguments(job: Job, workspace: Workspace, command: list[str], *, filtered: bool) -> list[str]:
    """From bubblewrap to the command's last argument."""
    inside = [job["python"], "-I", "-S", INSIDE]
    orders = [str(STATUS), str(job["limits"]["processes"]), "1" if job["loopback"] else "0"]
    # set when the walls stand: LD_PRELOAD must not act on what puts them up
    given = [f"{name}={value}" for name, value in job["environment"].items()]
    return [
        job["bubblewrap"],
        *("--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
        *("--die-with-parent", "--new-session", "--clearenv"),
        *("--uid", "1000", "--gid", "1000", "--hostname", "sandbox"),
        *_environment(job),
        *_system(),
        *_own(workspace),
        *_masks(job),
        # the root is a file system in memory without a size: nobody may write there
        *("--remount-ro", "/", "--chdir", "/work"),
        *(("--seccomp", str(SECCOMP)) if filtered else ()),
        *("--", *inside, *orders, str(len(given)), *given, *command),
    ]


def _environment(job: Job) -> list[str]:
    given = {
        "PATH": ":".join([_PATH, *(f"{each}/bin" for each in job["toolchains"])]),
        "HOME": "/work",
        "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own
        "LANG": "C.UTF-8",
        "USER": "user",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        **job["interpreter_environment"],
    }
    return [word for name, value in given.items() for word in ("--setenv", name, value)]


def _system() -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in _ALIASES:
        path = Path("/", name)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            words += ["--ro-bind", str(path), str(path)]
    javas = sorted(str(each.relative_to("/etc")) for each in Path("/etc").glob("java-*"))
    for name in (*_ETC, *javas):
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return words


def _own(workspace: Workspace) -> list[str]:
    writable = workspace.root / "rw"
    words = ["--proc", "/proc", "--dev", "/dev", "--bind", str(writable / "shm"), "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
    for name in ("work", "build", "tmp"):
        words += ["--bind", str(writable / name), f"/{name}"]
    for source, inside in workspace.shown:
        words += ["--ro-bind", source, inside]
    return words


def _masks(job: Job) -> list[str]:
    return [word for path in job["masks"] for word in ("--size", "4096", "--tmpfs", path, "--remount-ro", path)]
