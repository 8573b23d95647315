"""The interpreter that runs inside: the one that this host runs on, shown without what was installed beside it.

A virtual environment's own interpreter is only a link, so its base is taken, wherever it lies: `/usr`, a home folder
of pyenv or uv, conda. One outside `/usr` appears as `/opt/python`.
"""

import site
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools.confinement.job import Bind

_INSIDE = Path("/opt/python")


@dataclass(frozen=True)
class Interpreter:
    """`python` is its path inside; `masks` are the folders of foreign packages, which are shown empty."""

    python: str
    binds: tuple[Bind, ...]
    links: dict[str, str]
    masks: tuple[str, ...]
    environment: dict[str, str]


@cache
def interpreter() -> Interpreter:
    """How this process's own interpreter is shown."""
    base = Path(sys.base_prefix).resolve()
    program = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    if not program.is_relative_to(base):
        program = (base / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}").resolve()
    system = base.is_relative_to("/usr")

    def inside(path: Path) -> str:
        return str(path if system else _INSIDE / path.relative_to(base))

    names = ("python", "python3", f"python{sys.version_info.major}.{sys.version_info.minor}")
    # a shared library is found by a path that was fixed when the interpreter was built
    libraries = {} if system else {f"lib/{each.name}": inside(each) for each in (base / "lib").glob("libpython*.so*")}
    return Interpreter(
        python=inside(program),
        binds=() if system else (Bind(host=str(base), inside=str(_INSIDE)),),
        links={f"bin/{name}": inside(program) for name in names} | libraries,
        masks=tuple(inside(path) for path in _foreign(base)),
        environment={"LD_LIBRARY_PATH": "/opt/links/lib"} if libraries else {},
    )


def _foreign(base: Path) -> Iterator[Path]:
    for each in dict.fromkeys([*site.getsitepackages([str(base)]), f"{base}/lib/python3/dist-packages"]):
        path = Path(each)
        if path.is_dir() and path.resolve().is_relative_to(base):
            yield path.resolve()
