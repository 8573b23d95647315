"""TensorFlow.js graph models as ONNX: just the operations of convolutional detectors.

TensorFlow lays images out as NHWC and ONNX as NCHW. The whole graph is turned to NCHW once, between a transpose behind
the input and one before each output; axes and constants are turned as they are met.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tools.errors import InvalidInput

_NCHW = {0: 0, 1: 2, 2: 3, 3: 1, -1: 1}
"""Where an NHWC axis lies in NCHW."""
_DTYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32, "uint8": np.uint8, "bool": np.bool_}
_UNARY = {"Relu": "Relu", "Sigmoid": "Sigmoid", "Identity": "Identity"}
_BINARY = {"Add": "Add", "AddV2": "Add", "Sub": "Sub", "Mul": "Mul"}


def convert(model: Path, weights: Path, outputs: list[str]) -> onnx.ModelProto:
    """The part of a TF.js graph that makes these outputs, as an ONNX model that takes a batch of any size.

    Raises `InvalidInput` for an operation that is not known here.
    """
    graph = json.loads(model.read_text(encoding="utf-8"))
    nodes = {node["name"]: node for node in graph["modelTopology"]["node"]}
    writer = _Writer(nodes, _constants(graph["weightsManifest"], weights.read_bytes()))
    ends = [writer.output(name) for name in outputs]
    made = helper.make_graph(writer.made, "tfjs", writer.inputs, ends, initializer=writer.initializers)
    result = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(result)
    return result


def _constants(manifest: list[dict[str, Any]], data: bytes) -> dict[str, NDArray[Any]]:
    found, offset = dict[str, NDArray[Any]](), 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        stored = np.dtype(_DTYPES[entry.get("quantization", {}).get("dtype", entry["dtype"])])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(data, stored, count, offset).reshape(entry["shape"])
        found[entry["name"]] = values.astype(_DTYPES[entry["dtype"]])
        offset += count * stored.itemsize
    if offset != len(data):
        raise InvalidInput(f"The weights have {len(data):,} bytes, the graph describes {offset:,}.")
    return found


class _Writer:
    """Writes nodes in the order in which they are needed; names are kept."""

    def __init__(self, nodes: dict[str, dict[str, Any]], constants: dict[str, NDArray[Any]]) -> None:
        self._nodes = nodes
        self._constants = constants
        self._done: set[str] = set()
        self.made: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def output(self, name: str) -> onnx.ValueInfoProto:
        """Write what this output needs, and the output itself in NHWC."""
        self._write(name)
        self._add("Transpose", [name], f"{name}/nhwc", perm=[0, 2, 3, 1])
        return helper.make_tensor_value_info(f"{name}/nhwc", TensorProto.FLOAT, [None] * 4)

    def _write(self, name: str) -> None:
        if name in self._done or name in self._constants:
            return
        self._done.add(name)
        node = self._nodes[name]
        for source in node.get("input", []):
            self._write(source)
        op = node["op"]
        if op in _UNARY or op in _BINARY:
            self._add((_UNARY | _BINARY)[op], [self._value(source) for source in node["input"]], name)
        elif op in _WRITERS:
            _WRITERS[op](self, node)
        else:
            raise InvalidInput(
                f"The graph uses {op!r}, which is not converted.", remedy="Add it to tools/vision/tfjs.py."
            )

    def _add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.made.append(helper.make_node(op, inputs, [output], name=output, **attributes))

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _value(self, source: str) -> str:
        """An operand: a constant vector lies along the channels."""
        if source not in self._constants:
            return source
        values = self._constants[source]
        turned = values.reshape(1, -1, 1, 1) if values.ndim == 1 else values
        if values.ndim == 4:
            turned = values.transpose(0, 3, 1, 2)
        name = f"{source}/nchw"
        return name if name in {each.name for each in self.initializers} else self._constant(name, turned)

    def placeholder(self, node: dict[str, Any]) -> None:
        sizes = [int(each["size"]) for each in node["attr"]["shape"]["shape"]["dim"]]
        shape: list[str | int] = ["batch", *sizes[1:]]
        name = f"{node['name']}/nhwc"
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        self._add("Transpose", [name], node["name"], perm=[0, 3, 1, 2])

    def convolution(self, node: dict[str, Any]) -> None:
        """Plain and depthwise convolution, with a bias and a clipping fused in or not."""
        name, source, kernel = node["name"], node["input"][0], self._constants[node["input"][1]]
        height, width, channels, outputs = kernel.shape
        depthwise = "Depthwise" in node["op"]
        if depthwise:
            # HWCM becomes one filter per channel and multiplier
            turned, groups = kernel.transpose(2, 3, 0, 1).reshape(channels * outputs, 1, height, width), channels
        else:
            turned, groups = kernel.transpose(3, 2, 0, 1), 1
        fused = [_text(each) for each in node["attr"].get("fused_ops", {}).get("list", {}).get("s", [])]
        inputs = [source, self._constant(f"{name}/kernel", turned)]
        if "BiasAdd" in fused:
            inputs.append(self._constant(f"{name}/bias", self._constants[node["input"][2]]))
        clip = [each for each in fused if each != "BiasAdd"]
        end = f"{name}/linear" if clip else name
        sides = {
            "strides": _integers(node, "strides")[1:3],
            "dilations": _integers(node, "dilations")[1:3],
            "auto_pad": _padding(node),
        }
        self._add("Conv", inputs, end, group=groups, **sides)
        if clip == ["Relu6"]:
            self._clip(end, name)
        elif clip:
            self._add(clip[0], [end], name)

    def _clip(self, source: str, name: str) -> None:
        low = self._constant(f"{name}/low", np.array(0, np.float32))
        high = self._constant(f"{name}/high", np.array(6, np.float32))
        self._add("Clip", [source, low, high], name)

    def relu6(self, node: dict[str, Any]) -> None:
        self._clip(node["input"][0], node["name"])

    def mean(self, node: dict[str, Any]) -> None:
        axes = [_NCHW[int(axis)] for axis in self._constants[node["input"][1]].reshape(-1)]
        self._add("ReduceMean", [node["input"][0]], node["name"], axes=axes, keepdims=1)

    def concat(self, node: dict[str, Any]) -> None:
        *parts, axis = node["input"]
        self._add("Concat", parts, node["name"], axis=_NCHW[int(self._constants[axis])])

    def resize(self, node: dict[str, Any]) -> None:
        """Bilinear resizing in TensorFlow's first manner: no half pixels, no aligned corners."""
        if any(node["attr"].get(name, {}).get("b") for name in ("align_corners", "half_pixel_centers")):
            raise InvalidInput(f"{node['name']!r} resizes in a manner that is not converted.")
        source, size = node["input"]
        sizes = self._constant(f"{node['name']}/size", self._constants[size].astype(np.int64))
        shape, both = f"{node['name']}/shape", f"{node['name']}/sizes"
        self._add("Shape", [source], shape, start=0, end=2)
        self._add("Concat", [shape, sizes], both, axis=0)
        manner = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
        self._add("Resize", [source, "", "", both], node["name"], **manner)


_WRITERS: dict[str, Callable[[_Writer, dict[str, Any]], None]] = {
    "Placeholder": _Writer.placeholder,
    "Conv2D": _Writer.convolution,
    "_FusedConv2D": _Writer.convolution,
    "DepthwiseConv2dNative": _Writer.convolution,
    "FusedDepthwiseConv2dNative": _Writer.convolution,
    "Relu6": _Writer.relu6,
    "Mean": _Writer.mean,
    "ConcatV2": _Writer.concat,
    "ResizeBilinear": _Writer.resize,
}


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


def _integers(node: dict[str, Any], name: str) -> list[int]:
    return [int(each) for each in node["attr"][name]["list"]["i"]]


def _padding(node: dict[str, Any]) -> str:
    return {"SAME": "SAME_UPPER", "VALID": "VALID"}[_text(node["attr"]["padding"]["s"])]
