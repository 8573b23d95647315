"""A tiny Parler-TTS repository with random weights, made under the interpreter that has parler-tts:
`python tests/tools/tiny_parler.py FOLDER`."""

import json
import sys
from pathlib import Path


def make_parler(folder: Path) -> None:
    """T5 encoder, Parler's decoder and a DAC codec, and byte-level tokenizers for text and description."""
    import torch
    from parler_tts import ParlerTTSConfig, ParlerTTSDecoderConfig, ParlerTTSForConditionalGeneration
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import DacConfig, PreTrainedTokenizerFast, T5Config

    torch.manual_seed(0)
    codec = DacConfig(
        encoder_hidden_size=8, downsampling_ratios=[2, 4], decoder_hidden_size=16, upsampling_ratios=[8, 8],
        n_codebooks=2, codebook_size=64, codebook_dim=4, hidden_size=32, sampling_rate=44_100,
    )  # fmt: skip
    decoder = ParlerTTSDecoderConfig(
        vocab_size=66, max_position_embeddings=4096, num_hidden_layers=1, ffn_dim=32, num_attention_heads=2,
        hidden_size=16, num_codebooks=2, pad_token_id=64, eos_token_id=64, bos_token_id=65,
    )  # fmt: skip
    reader = T5Config(vocab_size=300, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    config = ParlerTTSConfig.from_sub_models_config(
        reader, codec, decoder, vocab_size=300, decoder_start_token_id=65, pad_token_id=64
    )
    model = ParlerTTSForConditionalGeneration(config)
    for weights in model.parameters():
        if weights.dim() > 1:
            torch.nn.init.normal_(weights, std=0.3)
    model.generation_config.update(
        decoder_start_token_id=65,
        bos_token_id=65,
        eos_token_id=64,
        pad_token_id=64,
        max_length=80,
        min_new_tokens=60,
        do_sample=True,
    )
    model.save_pretrained(folder)
    bytes_ = Tokenizer(models.BPE(unk_token=None))
    bytes_.pre_tokenizer, bytes_.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bytes_.train_from_iterator(
        [], trainers.BpeTrainer(vocab_size=260, special_tokens=["<pad>", "</s>"], initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_, pad_token="<pad>", eos_token="</s>", padding_side="left"
    )
    tokenizer.save_pretrained(folder)
    tokenizer.save_pretrained(folder / "description")


if __name__ == "__main__":
    made = Path(sys.argv[1])
    make_parler(made)
    sys.stdout.write(json.dumps([str(path.relative_to(made)) for path in sorted(made.rglob("*")) if path.is_file()]))
