"""What the host orders from a keeper and what it hears back, as JSON."""

from typing import TypedDict


class Limits(TypedDict):
    """Seconds, bytes and counts of one run."""

    seconds: float
    cpu_seconds: float
    memory: int
    file_bytes: int
    disk_bytes: int
    processes: int
    output_bytes: int


class Bind(TypedDict):
    """A file or folder of the host that is shown, read-only."""

    host: str
    inside: str


class Job(TypedDict):
    """`user` is the run's own id when we are root, else None. Files and `stdin` are base64.

    `masks` are shown as empty folders.
    """

    user: int | None
    bubblewrap: str
    python: str
    files: dict[str, str]
    build: list[str] | None
    command: list[str]
    stdin: str
    environment: dict[str, str]
    interpreter_environment: dict[str, str]
    binds: list[Bind]
    links: dict[str, str]
    masks: list[str]
    toolchains: list[str]
    loopback: bool
    limits: Limits
    collect_files: int
    collect_bytes: int


class File(TypedDict):
    """A changed file; `data` is base64, absent beyond the limit of what is brought back."""

    path: str
    size: int
    data: str | None


class Layers(TypedDict):
    """Which walls stood. `landlock` is the interface's version, 0 for none; `cgroup` 1, 2, or 0 with the reason."""

    own_user: bool
    seccomp: bool
    landlock: int
    cgroup: int
    cgroup_reason: str


class Report(TypedDict):
    """What became of a job; `failed` says why it never began. `ended` is bubblewrap's exit code: 128+n for signal n."""

    failed: str
    stage: str
    ended: int
    killed: str
    stdout: str
    stderr: str
    truncated: bool
    build_output: str
    wall_seconds: float
    cpu_seconds: float
    peak_memory: int
    files: list[File]
    files_left_out: int
    layers: Layers
