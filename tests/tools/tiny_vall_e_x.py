"""A tiny VALL-E X with random weights, made under the interpreter that runs it, from the code that the row names:
`python tests/tools/tiny_vall_e_x.py FOLDER`, where FOLDER has `code/`. No preset and no word list of it are used."""

import json
import sys
from pathlib import Path
from typing import Any

SOUNDS = "_,.!?-~…NQabdefghijklmnopstuvwxyzɑæʃʑçɯɪɔɛɹðəɫɥɸʊɾʒθβŋɦ⁼ʰ`^#*=ˈˌ→↓↑ "
WORDS = 2
"""Ids of what the preset's speaker said; the decoder stops after 16 frames for each id of the whole."""


def make_vall_e_x(folder: Path) -> None:
    """Both decoders at width 16, Vocos at width 8 with EnCodec's sixteen tables, phonemes as ids, and two presets."""
    import numpy as np
    import torch
    import yaml
    from tokenizers import Tokenizer, models

    from tools.catalog import load_catalog
    from tools.voice import vall_e_x as engine

    torch.manual_seed(0)
    with engine._importing(load_catalog().row("vall-e-x"), folder / "code"):
        from vallex.models.vallex import VALLE
        from vocos.heads import ISTFTHead
        from vocos.models import VocosBackbone
    model = VALLE(16, 2, 1, norm_first=True, add_prenet=False, prefix_mode=1, prepend_bos=True, num_quantizers=8)
    torch.save({"model": model.state_dict()}, folder / "vallex-checkpoint.pt")
    told: dict[str, dict[str, Any]] = {
        "backbone": {
            "input_channels": 8, "dim": 8, "intermediate_dim": 16, "num_layers": 1, "adanorm_num_embeddings": 4,
        },
        "head": {"dim": 8, "n_fft": 1280, "hop_length": 320, "padding": "same"},
    }  # fmt: skip
    parts = torch.nn.ModuleDict({"backbone": VocosBackbone(**told["backbone"]), "head": ISTFTHead(**told["head"])})
    with torch.no_grad():
        for weights in parts.parameters():
            weights.normal_(std=0.5)
    codebook = {"feature_extractor.codebook_weights": torch.randn(16 * 1024, 8)}
    (folder / "vocos").mkdir()
    torch.save(parts.state_dict() | codebook, folder / "vocos/pytorch_model.bin")
    (folder / "vocos/config.yaml").write_text(
        yaml.safe_dump({name: {"init_args": each} for name, each in told.items()})
    )
    ids = {each: number for number, each in enumerate(dict.fromkeys(["[UNK]", *SOUNDS]))}
    Tokenizer(models.BPE(vocab=ids, merges=[], unk_token="[UNK]")).save(str(folder / "bpe_69.json"))
    (folder / "presets").mkdir()
    chance = np.random.default_rng(0)
    for name, language in (("ada", 2), ("lin", 0)):
        np.savez(
            folder / f"presets/{name}.npz",
            audio_tokens=chance.integers(0, 1024, (1, 6, 8)),
            text_tokens=chance.integers(1, len(ids), (1, WORDS)),
            lang_code=np.int64(language),
        )


if __name__ == "__main__":
    made = Path(sys.argv[1])
    make_vall_e_x(made)
    sys.stdout.write(json.dumps([str(path.relative_to(made)) for path in sorted(made.rglob("*")) if path.is_file()]))
