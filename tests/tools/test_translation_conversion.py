"""A tiny M2M100 as transformers saves it, converted by the store, against transformers' own greedy output."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.tools.translators import DEVANAGARI, LATIN, row, sentencepiece
from tools.store import WeightStore
from tools.translation.m2m100 import M2M100

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("transformers") is None,
        reason="needs torch and transformers (`make gpu`)",
    ),
]

TEXTS = ["Bonjour le monde, ça va?", "नमस्ते दुनिया", "a"]


def checkpoint(folder: Path) -> Any:
    """The publisher's files: weights as a pickle, vocab.json without the languages; returns model and tokenizer."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer
    from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES

    pieces = sentencepiece(
        [*LATIN, *DEVANAGARI, *"éèàç"], ["bonjour le monde नमस्ते"], folder / "sentencepiece.bpe.model"
    )
    vocabulary = {token: n for n, token in enumerate(["<s>", "<pad>", "</s>", "<unk>", *pieces])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"))
    specials = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
    }
    languages = [f"__{language}__" for language in FAIRSEQ_LANGUAGE_CODES["m2m100"]]
    texts: dict[str, Any] = {
        "special_tokens_map.json": {**specials, "additional_special_tokens": languages},
        "tokenizer_config.json": {
            **specials, "language_codes": "m2m100", "num_madeup_words": 8, "tokenizer_class": "M2M100Tokenizer",
            "src_lang": None, "tgt_lang": None,
        },
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).write_text(json.dumps(text), encoding="utf-8")
    torch.manual_seed(5)
    config = M2M100Config(
        # the hub's checkpoints have a few rows more than tokens
        vocab_size=len(vocabulary) + 100 + 8, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=256,
        decoder_start_token_id=2, init_std=0.4,
    )  # fmt: skip
    model = M2M100ForConditionalGeneration(config).eval()
    model.generation_config.decoder_start_token_id = 2
    config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return model, tokenizer


async def test_the_converted_model_says_what_transformers_says(tmp_path: Path) -> None:
    import torch

    model, tokenizer = checkpoint(tmp_path / "in")
    wanted = row(
        tmp_path / "in",
        id="tiny",
        languages=["fr", "hi"],
        engine="tools.translation.m2m100:M2M100",
        options={"convert": "ctranslate2", "quantization": "float32", "compute_type": "float32", "beam": 1,
                 "weights_only": True},
    )  # fmt: skip
    files = await WeightStore(tmp_path / "cache").ensure(wanted)
    assert {"model.bin", "config.json", "sentencepiece.bpe.model", "vocab.json"} <= set(files)
    vocabulary = json.loads(files["shared_vocabulary.json"].read_text(encoding="utf-8"))
    assert vocabulary.index("__hi__") == tokenizer.get_lang_id("hi")
    engine = M2M100(wanted, files, "cpu")
    tokenizer.src_lang = "fr"
    expected = []
    for text in TEXTS:
        with torch.inference_mode():
            said = model.generate(
                **tokenizer(text, return_tensors="pt"),
                forced_bos_token_id=tokenizer.get_lang_id("hi"),
                num_beams=1, do_sample=False, max_new_tokens=40,
            )  # fmt: skip
        # without what the decoder begins with, the language, and the end
        expected.append([number for number in said[0].tolist()[2:] if number != tokenizer.eos_token_id])
    decoded = engine._decoder.decode([["__fr__", *tokenizer.tokenize(text), "</s>"] for text in TEXTS], ["__hi__"])
    assert [list(map(vocabulary.index, tokens))[:39] for tokens in decoded] == [each[:39] for each in expected]
    assert len(set(map(tuple, expected))) == len(TEXTS)
    written = [engine._pieces.decode_pieces(tokens).strip() for tokens in decoded]
    assert engine.translate(TEXTS, "fr", "hi") == written
