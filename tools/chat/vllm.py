"""vLLM as a server: one command, its own processes, its own parallelism. Never imported here."""

import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from tools.catalog import Row
from tools.devices import total
from tools.errors import NotInstalled

_OWN_OPTIONS = {
    "revision": "--revision",
    "quantization": "--quantization",
    "dtype": "--dtype",
    "kv_cache_dtype": "--kv-cache-dtype",
    "tool_call_parser": "--tool-call-parser",
    "reasoning_parser": "--reasoning-parser",
    "tensor_parallel": "--tensor-parallel-size",
    "slots": "--max-num-seqs",
}


class Vllm:
    """The server of a row for a GPU.

    The weights are the folder of the row's files, or without files the option `model` (and `revision`) of the hub, that
    vLLM fetches itself. Other options: `quantization`, `dtype`, `kv_cache_dtype`, `tool_call_parser`,
    `reasoning_parser`, `tensor_parallel`, `slots` (requests at once), `sleep` (true), `chat_template` (a file, or the
    name of one of ours for models whose own is missing or wrong).
    """

    health: ClassVar[str] = "/health"

    @staticmethod
    def command(row: Row, weights: Mapping[str, Path], device: str, port: int) -> list[str]:
        """`python` of the row is an interpreter whose environment holds vLLM; else it is looked for on the path."""
        model = str(next(iter(weights.values())).parent) if weights else str(row.options["model"])
        command = [_program(row), "serve", model, "--served-model-name", row.id, "--host", "127.0.0.1"]
        command += ["--port", str(port), "--enable-prefix-caching"]
        if row.context:
            command += ["--max-model-len", str(row.context)]
        # vLLM takes a share of the whole device, whatever it needs: it is given what the row's budget says
        if size := total(device):
            command += ["--gpu-memory-utilization", f"{min(row.memory / size, 0.95):.3f}"]
        for option, flag in _OWN_OPTIONS.items():
            if option in row.options:
                command += [flag, str(row.options[option])]
        if "chat_template" in row.options:
            command += ["--chat-template", template(str(row.options["chat_template"]))]
        if "tool_call_parser" in row.options:
            command.append("--enable-auto-tool-choice")
        if row.options.get("sleep", True):
            command.append("--enable-sleep-mode")
        if row.trust_remote_code:
            command.append("--trust-remote-code")
        return command

    @staticmethod
    def environment(row: Row, device: str, key: str) -> dict[str, str]:
        """The sleep endpoints exist only in vLLM's development mode; the server is on loopback, behind the key."""
        mode = {"VLLM_SERVER_DEV_MODE": "1"} if row.options.get("sleep", True) else {}
        first, count = int(device.partition(":")[2] or 0), int(row.options.get("tensor_parallel", 1))
        return {
            "VLLM_API_KEY": key,
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            **({"HF_HUB_OFFLINE": "1"} if row.files else {}),
            "CUDA_VISIBLE_DEVICES": ",".join(str(first + n) for n in range(count)),
            **mode,
        }


def template(name: str) -> str:
    """The path of a chat template: one of ours by its name, or a file of the owner."""
    own = files("tools.chat").joinpath("templates", f"{name}.jinja")
    return str(own) if "/" not in name and own.is_file() else name


def _program(row: Row) -> str:
    beside = Path(row.python).with_name("vllm") if row.python else None
    if beside is not None and beside.exists():
        return str(beside)
    if row.python is None and (found := shutil.which("vllm")):
        return found
    where = row.python or "an environment with an NVIDIA driver"
    raise NotInstalled(
        f"{row.title} needs vLLM, which {where} does not have.",
        remedy="Run `pip install vllm`, in its own environment if the row names a `python`.",
    )
