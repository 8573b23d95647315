"""Optimises a copy of a sealed part, in a process of its own: the engine holds the interpreter lock all the while."""

import json
import os
import shutil
from pathlib import Path

from knowledge.parts import create, points
from knowledge.sparse import Rarity

STATISTICS = "terms.json"

_BATCH = 200


class Optimiser:
    """Runs at the lowest priority: whoever asks or speaks goes first."""

    def __init__(self) -> None:
        os.nice(15)

    def spare(self, folder: str, dimensions: int) -> None:
        """Lay out an empty part, which takes longer than a query may wait; the folder is there once it is whole."""
        making = Path(f"{folder}.making")
        shutil.rmtree(making, ignore_errors=True)
        create(making, dimensions, log=True).close()
        making.rename(folder)

    def optimise(self, source: str, target: str, dimensions: int) -> int:
        """Write what is in the part `source` into a compact and indexed one without a log; returns its points.

        The source is copied first because one process only may open a shard that has a log.
        """
        from qdrant_edge import EdgeShard, Point, UpdateOperation

        copy = Path(f"{target}.copy")
        for folder in (copy, Path(target)):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, copy)
        sealed, built = EdgeShard.load(str(copy)), create(Path(target), dimensions, log=False)
        rarity, count = Rarity(), 0
        for page in points(sealed, whole=True):
            for first in range(0, len(page), _BATCH):
                batch = page[first : first + _BATCH]
                built.update(
                    UpdateOperation.upsert_points([Point(each.id, each.vector, each.payload) for each in batch])
                )
            for each in page:
                rarity.add(each.payload["tenant"], each.vector["words"].indices)
            count += len(page)
        sealed.close()
        shutil.rmtree(copy)
        built.optimize()
        built.flush()
        built.close()
        Path(target, STATISTICS).write_text(json.dumps(rarity.dump()))
        return count
