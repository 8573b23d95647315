"""Tiny checkpoints with random weights, laid out as their publishers lay them out. Needs torch and transformers."""

import json
from itertools import islice, product
from pathlib import Path
from typing import Any


def byte_letters() -> list[str]:
    """The 256 letters in which byte-level BPE writes bytes."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [each for each in range(256) if each not in shown]
    return [chr(each) for each in shown] + [chr(256 + place) for place in range(len(hidden))]


def whisper_specials() -> list[str]:
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    languages = [f"<|{code}|>" for code in LANGUAGES if code != "yue"]
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    return ["<|endoftext|>", "<|startoftranscript|>", *languages, *(f"<|{task}|>" for task in tasks)]


def make_whisper(folder: Path, *, safetensors: bool = True) -> list[str]:
    """A multilingual Whisper of a few megabytes as an older trainer saves it: vocab.json and merges.txt.

    Returns the names of its files.
    """
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    folder.mkdir(parents=True, exist_ok=True)
    letters, specials = byte_letters(), whisper_specials()
    # CTranslate2 knows a multilingual Whisper by the empty token that ends its text vocabulary
    merges = list(islice(product(letters, letters), 50_000))
    tokens = [*letters, *(first + last for first, last in merges), ""]
    vocabulary = {token: place for place, token in enumerate(tokens)}
    numbers = {token: len(vocabulary) + place for place, token in enumerate(specials)}
    ids: dict[str, Any] = {
        "bos_token_id": numbers["<|endoftext|>"],
        "eos_token_id": numbers["<|endoftext|>"],
        "pad_token_id": numbers["<|endoftext|>"],
        "decoder_start_token_id": numbers["<|startoftranscript|>"],
    }
    torch.manual_seed(7)
    config = WhisperConfig(
        vocab_size=len(vocabulary) + len(specials) + 1501,
        num_mel_bins=80, d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, suppress_tokens=[], begin_suppress_tokens=[],
        **ids,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    if safetensors:
        model.save_pretrained(folder)
    else:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        config.save_pretrained(folder)
    texts: dict[str, Any] = {
        "vocab.json": vocabulary,
        "added_tokens.json": numbers,
        "special_tokens_map.json": {
            "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>",
            "additional_special_tokens": specials,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "WhisperTokenizer", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
            "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "add_prefix_space": False,
        },
        "normalizer.json": {},
        "preprocessor_config.json": {
            "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80, "sampling_rate": 16000,
            "hop_length": 160, "chunk_length": 30, "n_fft": 400, "n_samples": 480000, "nb_max_frames": 3000,
        },
    }  # fmt: skip
    for name, value in texts.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "\n".join(["#version: 0.2", *(f"{first} {last}" for first, last in merges), ""]), encoding="utf-8"
    )
    return sorted(path.name for path in folder.iterdir())
