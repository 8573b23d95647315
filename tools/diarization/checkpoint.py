"""Tensors out of a PyTorch checkpoint of before 1.6, without PyTorch and without running what a pickle may ask for.

The format is torch/serialization.py's `_legacy_load`: a magic number, a version, the writer's type sizes, the pickled
object, the keys of its storages, and then each storage, an element count and raw little-endian elements.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from tools.errors import EngineFailed

_MAGIC = 0x1950A86A20F9469CFC6C
_KINDS = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "LongStorage": "<i8", "IntStorage": "<i4"}
_Tensor = Callable[[], NDArray[Any]]
"""A tensor whose elements come later in the file than its shape."""


def read_tensors(path: Path, name: str) -> Mapping[str, NDArray[Any]]:
    """The tensors of one of the checkpoint's state dicts, by name.

    Raises `EngineFailed` for a file that is not such a checkpoint, or asks for anything but tensors and plain values.
    """
    with path.open("rb") as file:
        try:
            magic, version, sizes = (_Reader(file, {}).load() for _ in range(3))
            if magic != _MAGIC or version != 1001 or not sizes["little_endian"]:
                raise ValueError("it is not a checkpoint of PyTorch before 1.6")
            storages: dict[str, tuple[str, NDArray[Any]]] = {}
            told = _Reader(file, storages).load()
            for key in _Reader(file, {}).load():
                kind = storages[key][0]
                count = int(np.frombuffer(_exactly(file, 8), "<i8")[0])
                data = _exactly(file, count * np.dtype(kind).itemsize)
                storages[key] = (kind, np.frombuffer(data, kind))
            return {key: tensor() for key, tensor in told[name].items()}
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
            raise EngineFailed(f"{path.name} cannot be read: {error}.") from error


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if count < 0 or len(data) != count:
        raise ValueError("it ends too early")
    return data


class _Reader(pickle.Unpickler):
    """Knows ordered dicts, float and integer storages, and how a tensor lies in one; nothing else has a name."""

    def __init__(self, file: IO[bytes], storages: dict[str, tuple[str, NDArray[Any]]]) -> None:
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._tensor
        if module == "torch" and name in _KINDS:
            return _KINDS[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        word, kind, key, _, _, view = pid
        if word != "storage" or view is not None or kind not in _KINDS.values():
            raise pickle.UnpicklingError(f"it has a {word!r} of kind {kind!r}")
        self._storages.setdefault(key, (kind, np.zeros(0, kind)))
        return str(key)

    def _tensor(self, key: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *rest: Any) -> _Tensor:
        def tensor() -> NDArray[Any]:
            elements = self._storages[key][1]
            last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
            if min((offset, *shape, *strides), default=0) < 0 or last >= len(elements):
                raise ValueError(f"a tensor of shape {shape} lies outside of its storage")
            steps = [stride * elements.itemsize for stride in strides]
            return np.lib.stride_tricks.as_strided(elements[offset:], shape, steps).copy()

        return tensor
