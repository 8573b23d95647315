"""Engines on the user's cached weights, for tests marked `weights`."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.catalog import load_catalog
from tools.settings import Settings
from tools.store import WeightStore
from tools.torchvision_ops import fit_torchvision

Files = Callable[[str], Mapping[str, Path]]
Engine = Callable[[str], Any]


@pytest.fixture(scope="session", autouse=True)
def fitted() -> None:
    """Tests make tiny checkpoints with transformers, which imports torchvision where that is installed."""
    if find_spec("transformers"):
        fit_torchvision()


@pytest.fixture(scope="session")
def weights() -> Files:
    """A row's files by name; skips where the user's cache does not have them."""
    catalog, store = load_catalog(), WeightStore(Settings().cache, offline=True)

    def find(model: str) -> Mapping[str, Path]:
        row = catalog.row(model)
        if missing := store.missing(row):
            pytest.skip(f"needs {missing[0].name}: run `sutradhar models fetch {model}`")
        return {file.name: store.folder(row) / file.name for file in row.files}

    return find


@pytest.fixture(scope="session")
def engine(weights: Files) -> Engine:
    """A row's engine, loaded once for all tests."""
    loaded: dict[str, Any] = {}

    def load(model: str) -> Any:
        if model not in loaded:
            row = load_catalog().row(model)
            module, _, name = row.engine.partition(":")
            loaded[model] = getattr(import_module(module), name)(row, weights(model), "cpu")
        return loaded[model]

    return load


@pytest.fixture(scope="session")
def sound(weights: Files) -> Callable[[str], NDArray[np.float32]]:
    """A recording of the sample media as 16 kHz mono."""

    def read(name: str) -> NDArray[np.float32]:
        import av

        from tools.media.sound import Resampling

        resampling = Resampling()
        with av.open(str(weights("sample-media")[name])) as container:
            parts = [resampling.feed(frame) for frame in container.decode(audio=0)]
        return np.concatenate([*parts, resampling.rest()])

    return read


@pytest.fixture(scope="session")
def photo(weights: Files) -> Callable[[str], NDArray[np.uint8]]:
    """A photograph of the sample media as RGB."""

    def read(name: str) -> NDArray[np.uint8]:
        from PIL import Image

        with Image.open(weights("sample-media")[name]) as image:
            return np.asarray(image.convert("RGB"))

    return read
