"""The child's side of `process` isolation, and the frames that both sides speak.

This one file needs only the standard library (and numpy once an array passes), so that an old model with old pins runs
it under its own interpreter. A frame is a 4-byte length, a JSON header, and the raw buffers whose lengths the header
lists. Nothing is pickled, so that a child that was taken over cannot make its parent build objects.

One engine is single-threaded: calls run one after another. A stream runs while it has credit; without credit it is set
aside and other calls go on, so that a slow consumer holds up nobody.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import importlib
import importlib.util
import json
import os
import pathlib
import queue
import resource
import signal
import socket
import struct
import sys
import threading
import traceback
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LENGTH = struct.Struct("!I")
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def encode(value: Any, buffers: list[Any], typed: bool) -> Any:
    """A value as JSON, its bytes and arrays moved into `buffers`; `typed` keeps the names of dataclasses and models."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value if type(value).__module__ == "builtins" else _plain(value)
    if isinstance(value, (list, tuple)):
        items = [encode(each, buffers, typed) for each in value]
        return items if isinstance(value, list) else {"$": "tuple", "items": items}
    if isinstance(value, dict):
        pairs = [[encode(key, buffers, typed), encode(each, buffers, typed)] for key, each in value.items()]
        return {"$": "dict", "items": pairs}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return _named(value, fields, buffers, typed)
    if hasattr(value, "model_dump"):
        return _named(value, value.model_dump(mode="json"), buffers, typed)
    return _encode_leaf(value, buffers)


def _plain(value: Any) -> Any:
    """Subclasses of the plain types (numpy floats, string enums) as what they are underneath."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return getattr(value, "value", value) if hasattr(value, "_value_") else kind(value)
    return value


def _named(value: Any, fields: dict[str, Any], buffers: list[Any], typed: bool) -> dict[str, Any]:
    body = {name: encode(each, buffers, typed) for name, each in fields.items()}
    kind = f"{type(value).__module__}:{type(value).__qualname__}" if typed else ""
    return {"$": "object", "type": kind, "fields": body}


def _encode_leaf(value: Any, buffers: list[Any]) -> Any:
    if isinstance(value, pathlib.PurePath):
        return {"$": "path", "path": str(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        buffers.append(value)
        return {"$": "bytes", "n": len(buffers) - 1}
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        buffers.append(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
        return {"$": "array", "n": len(buffers) - 1, "dtype": value.dtype.str, "shape": list(value.shape)}
    raise TypeError(f"a {type(value).__name__} cannot pass between processes: {str(value)[:80]!r}")


def decode(value: Any, buffers: list[bytearray], trusted: bool) -> Any:
    """The value that `encode` took apart. Only with `trusted` are named classes imported and built."""
    if isinstance(value, list):
        return [decode(each, buffers, trusted) for each in value]
    if not isinstance(value, dict):
        return value
    kind = value["$"]
    if kind == "tuple":
        return tuple(decode(each, buffers, trusted) for each in value["items"])
    if kind == "dict":
        return {decode(key, buffers, trusted): decode(each, buffers, trusted) for key, each in value["items"]}
    if kind == "object":
        fields = {name: decode(each, buffers, trusted) for name, each in value["fields"].items()}
        return _build(value["type"], fields) if trusted and value["type"] else fields
    return _decode_leaf(kind, value, buffers)


def _decode_leaf(kind: str, value: dict[str, Any], buffers: list[bytearray]) -> Any:
    if kind == "path":
        return pathlib.Path(value["path"])
    return bytes(buffers[value["n"]]) if kind == "bytes" else _decode_array(value, buffers)


def _decode_array(value: dict[str, Any], buffers: list[bytearray]) -> Any:
    import numpy as np

    dtype = np.dtype(value["dtype"])
    if dtype.hasobject:
        raise ValueError(f"array of {value['dtype']!r} refused")
    return np.frombuffer(buffers[value["n"]], dtype=dtype).reshape(value["shape"])


def _build(kind: str, fields: dict[str, Any]) -> Any:
    built = find(kind)
    return built.model_validate(fields) if hasattr(built, "model_validate") else built(**fields)


def find(path: str) -> Any:
    """What `module:Name.inner` names."""
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found


def pack(header: dict[str, Any], buffers: list[Any]) -> list[Any]:
    """One frame as pieces to send in order."""
    sizes = [memoryview(each).nbytes for each in buffers]
    text = json.dumps({**header, "buffers": sizes}, separators=(",", ":")).encode()
    return [LENGTH.pack(len(text)) + text, *(each for each, size in zip(buffers, sizes) if size)]  # noqa: B905


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def stand_back(nice: int) -> None:
    """Let others go first, `nice` 0..19; a session of our own too, as Linux shares the processor by session first."""
    os.nice(nice)
    if sys.platform == "linux" and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            pathlib.Path("/proc/self/autogroup").write_text(str(nice))


def confine(limits: dict[str, Any]) -> bool:
    """Apply limits to this process; returns whether it is cut off from the network."""
    if limits.get("nice"):
        stand_back(limits["nice"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits.get("memory"):
        resource.setrlimit(resource.RLIMIT_AS, (limits["memory"], limits["memory"]))
    if limits.get("cpu_seconds"):
        seconds = int(limits["cpu_seconds"]) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    if sys.platform != "linux":
        return False
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return not limits.get("network", True) and _leave_network()


def _leave_network() -> bool:
    """Move into a network namespace with nothing in it; needs no privilege where user namespaces are allowed."""
    libc, user, group = ctypes.CDLL(None), os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    # keep our own ids, or files made from here would belong to nobody
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        pathlib.Path("/proc/self", name).write_text(text)
    return True


class _Stream:
    def __init__(self, number: int, items: Iterator[Any], credit: int) -> None:
        self.number, self.items, self.credit = number, items, credit


class Child:
    """Runs one engine: a thread reads frames, the main thread works."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._work: queue.Queue[tuple[dict[str, Any], list[bytearray]]] = queue.Queue()
        self._cancelled: set[int] = set()
        self._streams: dict[int, _Stream] = {}
        self._engine: Any = None

    def run(self, confined: bool) -> None:
        """Serve until the parent closes the connection."""
        header, buffers = self._receive()
        try:
            self._load(decode(header["value"], buffers, trusted=True))
        except BaseException as error:
            self._fail(0, error)
            raise SystemExit(1) from error
        self._send({"op": "ready", "offline": confined})
        threading.Thread(target=self._read, daemon=True).start()
        while True:
            header, buffers = self._work.get()
            self._handle(header, buffers)

    def _load(self, what: dict[str, Any]) -> None:
        build = find(what["engine"])
        if what["row"] is None:
            self._engine = build(**what["options"])
        else:
            self._engine = build(_row(what["row"]), what["files"], what["device"])

    def _read(self) -> None:
        try:
            while True:
                header, buffers = self._receive()
                if header["op"] == "cancel":
                    self._cancelled.add(header["id"])
                self._work.put((header, buffers))
        except OSError:
            # the parent is gone or done with us; a call that is running must not keep us
            os._exit(0)

    def _handle(self, header: dict[str, Any], buffers: list[bytearray]) -> None:
        number, op = header["id"], header["op"]
        try:
            if op == "cancel":
                self._end(number)
            elif op == "more":
                if number in self._streams:
                    self._streams[number].credit += header["credit"]
                    self._step(self._streams[number])
            elif number not in self._cancelled:
                self._start(number, header, decode(header["value"], buffers, trusted=True))
        except BaseException as error:  # noqa: BLE001 - the edge: whatever went wrong goes to the caller
            self._streams.pop(number, None)
            self._fail(number, error)

    def _start(self, number: int, header: dict[str, Any], value: dict[str, Any]) -> None:
        answer = getattr(self._engine, value["method"])(*value["args"], **value["kwargs"])
        if header["op"] == "call":
            self._send({"op": "result", "id": number}, answer)
            return
        self._streams[number] = _Stream(number, iter(answer), header["credit"])
        self._step(self._streams[number])

    def _step(self, stream: _Stream) -> None:
        while stream.credit > 0 and stream.number not in self._cancelled:
            try:
                item = next(stream.items)
            except StopIteration:
                self._streams.pop(stream.number)
                self._send({"op": "end", "id": stream.number})
                return
            stream.credit -= 1
            self._send({"op": "item", "id": stream.number}, item)

    def _end(self, number: int) -> None:
        self._cancelled.discard(number)
        stream = self._streams.pop(number, None)
        if stream is not None and hasattr(stream.items, "close"):
            stream.items.close()

    def _fail(self, number: int, error: BaseException) -> None:
        traceback.print_exception(type(error), error, error.__traceback__)
        body = error.body() if hasattr(error, "body") else {"kind": type(error).__name__, "message": str(error)[:2000]}
        self._send({"op": "error", "id": number, "error": body})

    def _send(self, header: dict[str, Any], *value: Any) -> None:
        buffers: list[Any] = []
        if value:
            header["value"] = encode(value[0], buffers, typed=False)
        for piece in pack(header, buffers):
            self._connection.sendall(piece)

    def _receive(self) -> tuple[dict[str, Any], list[bytearray]]:
        header = json.loads(bytes(self._exactly(LENGTH.unpack(self._exactly(LENGTH.size))[0])))
        return header, [self._exactly(size) for size in header["buffers"]]

    def _exactly(self, size: int) -> bytearray:
        data, got = bytearray(size), 0
        while got < size:
            count = self._connection.recv_into(memoryview(data)[got:])
            if not count:
                raise ConnectionResetError("the parent closed the connection")
            got += count
        return data


def _row(fields: dict[str, Any]) -> Any:
    """The catalogue row; under an interpreter without pydantic the same fields without its checks."""
    try:
        from tools.catalog import Row
    except ImportError:
        return types.SimpleNamespace(**fields)
    return Row.model_validate(fields)


def _mount(packages: dict[str, str]) -> None:
    """Make these top-level packages importable without putting their neighbours on another interpreter's path."""
    for name, folder in packages.items():
        spec = importlib.util.spec_from_file_location(
            name,
            pathlib.Path(folder, "__init__.py"),
            submodule_search_locations=[folder],
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"no package in {folder!r}")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


def main() -> None:
    """Started by `tools.isolation.process` with its orders as JSON in the first argument."""
    orders = json.loads(sys.argv[1])
    die_with_parent(orders["parent"])
    confined = confine(orders["limits"])
    # the first entry is this file's folder, whose names must not stand in for real modules
    sys.path[:] = orders["path"] or sys.path[1:]
    _mount(orders["packages"])
    Child(socket.socket(fileno=orders["connection"])).run(confined)


if __name__ == "__main__":
    main()
