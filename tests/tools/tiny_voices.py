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


def make_bark(
    folder: Path, *, presets: tuple[str, ...] = ("en_speaker_6", "hi_speaker_0"), tokens: int = 12
) -> list[str]:
    """Bark's repository: a pickle of tensors, three arrays for each preset, and a fiftieth of a second of speech for
    each token of meaning that it may write."""
    import numpy as np
    import torch
    from transformers import BarkConfig, BarkModel, EncodecConfig

    torch.manual_seed(0)
    small = {"num_layers": 1, "num_heads": 2, "hidden_size": 16}
    codec = EncodecConfig(
        target_bandwidths=[1.5, 3.0, 6.0], num_filters=4, hidden_size=16, codebook_dim=16, num_lstm_layers=1
    )
    config = BarkConfig(
        semantic_config={"input_vocab_size": 129_600, "output_vocab_size": 10_048, **small},
        coarse_acoustics_config={"input_vocab_size": 12_096, "output_vocab_size": 12_096, **small},
        fine_acoustics_config={"input_vocab_size": 1_056, "output_vocab_size": 1_056, **small},
        codec_config=codec.to_dict(),
    )
    model = BarkModel(config)
    loud(model)
    for name, table in model.named_buffers():
        if name.endswith("codebook.embed"):
            # no parameter, and all zero before training
            torch.nn.init.normal_(table)
    config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    told = {"codebook_size": 1_024, "sample_rate": 24_000, "model_type": "bark"}
    told |= {"semantic_config": {"max_new_tokens": tokens}, "coarse_acoustics_config": {}, "fine_acoustics_config": {}}
    (folder / "generation_config.json").write_text(json.dumps(told))
    names = ["config.json", "generation_config.json", "pytorch_model.bin", *_multilingual(folder)]
    for place, preset in enumerate(presets):
        drawn = np.random.default_rng(place)
        shapes = {"semantic": (10_000, (60,)), "coarse": (1_024, (2, 90)), "fine": (1_024, (8, 90))}
        for part, (most, shape) in shapes.items():
            names.append(f"speaker_embeddings/v2/{preset}_{part}_prompt.npy")
            (folder / names[-1]).parent.mkdir(parents=True, exist_ok=True)
            np.save(folder / names[-1], drawn.integers(0, most, shape))
    return names


def _multilingual(folder: Path) -> list[str]:
    """A cased WordPiece of single letters, as multilingual BERT has one of 119,547 pieces."""
    letters = sorted({*LETTERS, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ.,!?[]।"} - {" "})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{each}" for each in letters)]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    told = {"do_lower_case": False, "tokenizer_class": "BertTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return ["vocab.txt", "tokenizer_config.json"]
