"""Tiny checkpoints of speaking models with random weights, laid out as their publishers lay them out. Needs torch."""

import json
from pathlib import Path
from typing import Any

LETTERS = "-_ '" + "abcdefghijklmnopqrstuvwxyz" + "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह" + "ािीुूेैोौं्ँ"


def loud(model: Any, spread: float = 0.3) -> None:
    """Weights so large that what the model says can be heard: fresh ones are all but silent."""
    import torch

    for weights in model.parameters():
        if weights.dim() > 1:
            torch.nn.init.normal_(weights, std=spread)


def make_mms(folder: Path, *, uroman: bool = False) -> list[str]:
    """An MMS-TTS repository: safetensors with weight norms named as in 2023, when they were published."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import VitsConfig, VitsModel

    torch.manual_seed(0)
    model = VitsModel(
        VitsConfig(
            vocab_size=len(LETTERS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16,
            flow_size=16, spectrogram_bins=17, upsample_initial_channel=32, resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1, 3]], duration_predictor_num_flows=2, duration_predictor_filter_channels=16,
            prior_encoder_num_flows=2, prior_encoder_num_wavenet_layers=2, posterior_encoder_num_wavenet_layers=2,
            depth_separable_num_layers=2, wavenet_dilation_rate=1,
        )
    )  # fmt: skip
    loud(model)
    model.save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): each
        for name, each in weights.items()
    }
    save_file(old, folder / "model.safetensors", {"format": "pt"})
    (folder / "vocab.json").write_text(json.dumps({each: place for place, each in enumerate(LETTERS)}))
    told = {"add_blank": True, "is_uroman": uroman, "language": "hin", "normalize": True, "pad_token": "-"}
    told |= {"phonemize": False, "tokenizer_class": "VitsTokenizer", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return ["model.safetensors", "config.json", "vocab.json", "tokenizer_config.json"]
