"""A batch of texts through the door against the same texts one request at a time, by engines that batch.

The engines are the tests' tiny VITS and Bark with random weights: they speak noise, and what is measured is what the
path between the door and the engine leaves of the engine's gain. Needs torch.
"""

import os
import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.api.conftest import Served
from tests.tools.speaking_hosts import from_folder, speaking_host
from tests.tools.tiny_voices import make_bark, make_mms
from tools.errors import NotInstalled
from tools.torchvision_ops import fit_torchvision

TEXTS = [
    f"Sentence number {number}, as somebody would send it who has many to be read aloud."
    for number in ("one", "two", "three", "four", "five", "six", "seven", "eight")
]


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """Seconds are medians of interleaved rounds; a ratio is one at a time by the batch."""
    if find_spec("transformers") is None or find_spec("torch") is None:
        raise NotInstalled("This bench needs PyTorch and transformers.", remedy="Run `make gpu`.")
    fit_torchvision()
    figures: dict[str, Any] = {"texts": len(TEXTS), "load": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory() as scratch:
        vits, bark = Path(scratch, "vits"), Path(scratch, "bark")
        for folder in (vits, bark):
            folder.mkdir()
        # so small that one text does not keep a core busy: it gains from batches here as a large one does on a GPU
        engine, files = "tools.voice.vits:Vits", make_mms(vits)
        small = from_folder("vits-tiny", engine, vits, files, languages=["en"], rate=16_000, options={"batch": 16})
        # six seconds of speech: as in the large one, nearly all of the time goes into writing token after token
        engine, files = "tools.voice.bark:Bark", make_bark(bark, tokens=300)
        options = {"weights_only": True, "min_eos_p": 0.0}
        slow = from_folder("bark-tiny", engine, bark, files, languages=["en"], rate=24_000, options=options)
        for row in (small, slow):
            async with speaking_host([row], Path(scratch, row.id)) as served:
                figures |= await _measured(served, row.id, 3 if quick else 9)
    return figures


async def _measured(served: Served, name: str, rounds: int) -> dict[str, Any]:
    alone, together = list[float](), list[float]()
    await _spoken(served, TEXTS)
    for number in range(rounds):
        for at_once, seconds in ((1, alone), (len(TEXTS), together))[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            for first in range(0, len(TEXTS), at_once):
                await _spoken(served, TEXTS[first : first + at_once])
            seconds.append(time.perf_counter() - began)
    one, all_ = statistics.median(alone), statistics.median(together)
    return {
        f"{name}_one_by_one_seconds": round(one, 3),
        f"{name}_batch_seconds": round(all_, 3),
        f"{name}_batch_ratio": round(one / all_, 3),
    }


async def _spoken(served: Served, texts: list[str]) -> None:
    async with served.client() as client:
        answer = await client.post("/api/v1/tts/batch", json={"texts": texts, "language": "en"})
    assert answer.json()["spoken"] == len(texts), answer.text
