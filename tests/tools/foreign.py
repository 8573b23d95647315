"""Engines for an environment of their own: they need its pins, and only those; and the wheels that such pins name."""

import importlib.util
import os
import socket
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.errors import InvalidInput


def write_wheel(folder: Path, name: str, version: str, code: str = "") -> Path:
    """A wheel with one module that knows its version."""
    info, path = f"{name}-{version}.dist-info", folder / f"{name}-{version}-py3-none-any.whl"
    members = {
        f"{name}.py": f"VERSION = {version!r}\n{code}",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{each},,\n" for each in (*members, f"{info}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as wheel:
        for each, text in (members | {f"{info}/RECORD": record}).items():
            wheel.writestr(each, text)
    return path


class Foreign:
    """Tells what surrounds it; keeps `hog` MB. Built only where its row's option `needs` is installed."""

    def __init__(self, row: Any, files: Mapping[str, Path], device: str) -> None:
        self.needed = __import__(str(row.options["needs"]))
        self.hog = b"x" * (int(row.options.get("hog", 0)) << 20)

    def surroundings(self) -> dict[str, str | bool]:
        """The needed package's version, the interpreter, and whether our own packages can be seen from there."""
        return {
            "version": str(getattr(self.needed, "VERSION", None) or self.needed.__version__),
            "python": sys.executable,
            "pydantic": importlib.util.find_spec("pydantic") is not None,
            "secret": "SUTRADHAR_API_KEYS__OPENAI" in os.environ,
        }

    def variable(self, name: str) -> str:
        return os.environ.get(name, "")

    def reach(self, port: int) -> str:
        """What comes of a connection to loopback."""
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                return "reached"
        except OSError as error:
            return type(error).__name__

    def refuse(self) -> None:
        raise InvalidInput("The value 7 is odd.", remedy="Send an even one.")

    def double(self, values: Any) -> Any:
        """With numpy: twice the values."""
        return values * 2
