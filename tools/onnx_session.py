"""ONNX Runtime sessions that share a machine: bounded threads that do not spin, and no chatter."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def open_session(weights: Path | bytes, device: str, threads: int = 0) -> Any:
    """An `onnxruntime.InferenceSession` on a device, from a file or a graph in memory; `threads` 0: one per core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # idle threads that spin take the cores from the other models for milliseconds after each call
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    graph = weights if isinstance(weights, bytes) else str(weights)
    kind, _, index = device.partition(":")
    cuda = [("CUDAExecutionProvider", {"device_id": int(index or 0)})] if kind == "gpu" else []
    return onnxruntime.InferenceSession(graph, options, providers=[*cuda, "CPUExecutionProvider"])


def external_files(graph: Path) -> list[str]:
    """The files beside a graph that hold its tensors, as it names them. Reads the graph only."""
    import onnx

    model = onnx.load(str(graph), load_external_data=False)
    found = (
        entry.value for tensor in _tensors(model.graph) for entry in tensor.external_data if entry.key == "location"
    )
    return sorted(set(found))


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor of a graph and of the graphs in its nodes."""
    yield from graph.initializer
    for attribute in (each for node in graph.node for each in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for inner in (attribute.g, *attribute.graphs):
            if inner.node:
                yield from _tensors(inner)
