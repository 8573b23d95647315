"""vLLM as a server: one command, its own processes, its own parallelism. Never imported here."""

import shutil
from collections.abc import Mapping
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
    "chat_template": "--chat-template",
}


class Vllm:
    """The server of a row for a GPU.

    The weights are the folder of the row's files, or without files the option `model` (and `revision`) of the hub, that
    vLLM fetches itself. Other options: `quantization`, `dtype`, `kv_cache_dtype`, `tool_call_parser`,
    `reasoning_parser`, `chat_template`, `tensor_parallel`, `slots` (requests at once), `sleep` (true).
    """

    health: ClassVar[str] = "/health"

    @staticmethod
    def command(row: Row, files: Mapping[str, Path], device: str, port: int) -> list[str]:
        """`python` of the row is an interpreter whose environment holds vLLM; else it is looked for on the path."""
        weights = str(next(iter(files.values())).parent) if files else str(row.options["model"])
        command = [_program(row), "serve", weights, "--served-model-name", row.id, "--host", "127.0.0.1"]
        command += ["--port", str(port), "--enable-prefix-caching"]
        if row.context:
            command += ["--max-model-len", str(row.context)]
        # vLLM takes a share of the whole device, whatever it needs: it is given what the row's budget says
        if size := total(device):
            command += ["--gpu-memory-utilization", f"{min(row.memory / size, 0.95):.3f}"]
        for option, flag in _OWN_OPTIONS.items():
            if option in row.options:
                command += [flag, str(row.options[option])]
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
