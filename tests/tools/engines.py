"""Tiny engines that fail in the ways real ones do."""

import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.catalog import Row
from tools.errors import InvalidInput


@dataclass(frozen=True)
class Part:
    name: str
    box: tuple[float, float]
    data: NDArray[np.float32] | None = None


class Fake:
    """Loads in `load` seconds, keeps `hog` MB, fails to load while `fails` names a file that exists."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        time.sleep(float(row.options.get("load", 0)))
        if log := row.options.get("log"):
            with Path(str(log)).open("a", encoding="utf-8") as file:
                file.write(f"{row.id}\n")
        if (fails := row.options.get("fails")) and Path(str(fails)).exists():
            raise RuntimeError("the weights are torn")
        self.row = row
        self.device = device
        self.hog = bytearray(os.urandom(1)) * (int(row.options.get("hog", 0)) << 20)
        self.closed: list[str] = []

    def grow(self, megabytes: int) -> None:
        self.hog += b"x" * (megabytes << 20)

    def echo(self, value: int) -> int:
        return value

    def parts(self, names: list[Part], offset: float = 0.0) -> list[list[Part]]:
        """Each part on its own, its data doubled."""
        return [
            [Part(each.name, each.box, None if each.data is None else each.data * 2 + np.float32(offset))]
            for each in names
        ]

    def double(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values * 2

    def count(self, until: int, pause: float = 0.0, log: str = "") -> Iterator[int]:
        try:
            for each in range(until):
                time.sleep(pause)
                yield each
        finally:
            if log:
                Path(log).write_text("closed", encoding="utf-8")

    def crash_after(self, until: int) -> Iterator[int]:
        yield from range(until)
        print("about to fall", flush=True)  # noqa: T201
        os.kill(os.getpid(), signal.SIGSEGV)

    def fail_after(self, until: int) -> Iterator[int]:
        yield from range(until)
        raise RuntimeError("half way")

    def refuse(self) -> None:
        raise InvalidInput("The value 7 is odd.", remedy="Send an even one.", param="value")

    def nonsense(self) -> Any:
        return "not a number"

    def where(self) -> tuple[int, str]:
        return os.getpid(), self.device

    def wait(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


class Limited:
    """Built without a row."""

    def __init__(self, start: int = 0) -> None:
        self._start = start

    def add(self, value: int) -> int:
        return self._start + value

    def take(self, megabytes: int) -> int:
        return len(bytearray(megabytes << 20))

    def spin(self) -> None:
        while True:
            pass

    def dial(self, port: int) -> str:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError as error:
            return type(error).__name__
        return "connected"
