"""llama.cpp's own server, from xllamacpp's wheel, in a process of its own.

`python -m tools.chat.llamacpp --model FILE --port N --alias NAME`, with the key in `LLAMA_API_KEY`.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from tools.catalog import Row
from tools.errors import NotInstalled
from tools.isolation.server import package_path

_CONTEXT = 8192
_HOST_CACHE_MB = 256


class LlamaCpp:
    """The server of a GGUF row. Options: `slots` (1), `threads` (all cores), `gpu_layers` (all on a GPU, else none)."""

    health: ClassVar[str] = "/health"

    @staticmethod
    def command(row: Row, files: Mapping[str, Path], device: str, port: int) -> list[str]:
        """Memory stays bounded: at most 8192 tokens of context per slot."""
        if find_spec("xllamacpp") is None:
            raise NotInstalled(f"{row.title} needs xllamacpp.", remedy="Run `pip install xllamacpp`.")
        weights = next(path for name, path in files.items() if name.endswith(".gguf"))
        slots = int(row.options.get("slots", 1))
        arguments = {
            "model": str(weights),
            "alias": row.id,
            "port": port,
            "slots": slots,
            "context": min(row.context or _CONTEXT, _CONTEXT) * slots,
            "threads": int(row.options.get("threads", 0)),
            "gpu-layers": int(row.options.get("gpu_layers", 999 if device.startswith("gpu") else 0)),
        }
        flags = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
        return [sys.executable, "-m", "tools.chat.llamacpp", *flags]

    @staticmethod
    def environment(row: Row, device: str, key: str) -> dict[str, str]:
        visible = {"CUDA_VISIBLE_DEVICES": device.partition(":")[2]} if device.startswith("gpu") else {}
        return {"LLAMA_API_KEY": key, **package_path(), **visible}


def _parameters(arguments: argparse.Namespace) -> Any:
    import xllamacpp

    cores = arguments.threads or len(os.sched_getaffinity(0))
    parameters = xllamacpp.CommonParams()
    parameters.model.path = arguments.model
    parameters.model_alias = {arguments.alias}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = arguments.port
    parameters.api_keys = [os.environ["LLAMA_API_KEY"]]
    parameters.n_ctx = arguments.context
    parameters.n_parallel = arguments.slots
    parameters.n_gpu_layers = arguments.gpu_layers
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = cores
    # threads that poll while they wait starve everything else on a small machine
    parameters.cpuparams.poll = parameters.cpuparams_batch.poll = 0
    parameters.n_threads_http = 4 + 2 * arguments.slots
    # a stable beginning of the prompt is not read again
    parameters.cache_prompt = True
    parameters.cache_ram_mib = _HOST_CACHE_MB
    parameters.ui = False
    parameters.cors_origins = ""
    parameters.verbosity = 1
    return parameters


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tools.chat.llamacpp")
    parser.add_argument("--model", required=True)
    parser.add_argument("--alias", required=True)
    for name in ("port", "slots", "context", "threads", "gpu-layers"):
        parser.add_argument(f"--{name}", type=int, required=True)
    arguments = parser.parse_args()
    import xllamacpp

    # llama.cpp waits for idle connections when it is torn down; there is nothing to save
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = xllamacpp.Server(_parameters(arguments))
    print(server.listening_address, flush=True)  # noqa: T201
    signal.pause()


if __name__ == "__main__":
    main()
