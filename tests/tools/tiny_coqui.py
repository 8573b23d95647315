"""Tiny checkpoints of Coqui's models with random weights, as their publishers lay them out. Needs coqui-tts."""

import json
from pathlib import Path
from typing import Any

from tests.tools.tiny_voices import LETTERS, loud

_THEIRS = "/home/somebody/models/v1/hi/fastpitch"
"""Where the published configurations look for their files."""


def make_indic_tts(folder: Path, *, old_paths: bool = True) -> list[str]:
    """FastPitch and HiFi-GAN of one language, as `hi.zip` of Indic-TTS's release has them."""
    import torch
    from TTS.tts.configs.fast_pitch_config import FastPitchConfig
    from TTS.tts.configs.shared_configs import CharactersConfig
    from TTS.tts.models.forward_tts import ForwardTTS

    torch.manual_seed(0)
    acoustic, vocoder = folder / "fastpitch", folder / "hifigan"
    for each in (acoustic, vocoder):
        each.mkdir(parents=True)
    torch.save({"female": 0, "male": 1}, acoustic / "speakers.pth")
    letters = CharactersConfig(
        characters_class="TTS.tts.models.vits.VitsCharacters", pad="<PAD>", eos="<EOS>", bos="<BOS>", blank="<BLNK>",
        characters="".join(dict.fromkeys(LETTERS.replace(" ", "").replace("-", "").replace("'", ""))),
        punctuations="!,.? ।",
    )  # fmt: skip
    config = FastPitchConfig(characters=letters, use_phonemes=False, text_cleaner="basic_cleaners")
    config.model_args.hidden_channels = 16
    config.model_args.use_speaker_embedding = True
    config.model_args.speakers_file = str(acoustic / "speakers.pth")
    for part in (config.model_args.encoder_params, config.model_args.decoder_params):
        part.update(hidden_channels_ffn=16, num_heads=1, num_layers=1)
    model = ForwardTTS(config)
    loud(model)
    # some frames for each letter, whatever the random weights say
    torch.nn.init.constant_(model.duration_predictor.proj.bias, 1.5)
    torch.nn.init.normal_(model.duration_predictor.proj.weight, std=0.01)
    told = config.to_dict()
    if old_paths:
        told["speakers_file"] = told["model_args"]["speakers_file"] = f"{_THEIRS}/speakers.pth"
    (acoustic / "config.json").write_text(json.dumps(told))
    torch.save({"config": config.to_dict(), "model": model.state_dict(), "step": 1}, acoustic / "best_model.pth")
    _hifigan(vocoder)
    names = ("fastpitch/best_model.pth", "fastpitch/config.json", "fastpitch/speakers.pth")
    return [*names, "hifigan/best_model.pth", "hifigan/config.json"]


def _hifigan(folder: Path) -> None:
    import torch
    from TTS.vocoder.configs import HifiganConfig
    from TTS.vocoder.models.gan import GAN

    config = HifiganConfig()
    config.generator_model_params |= {
        "upsample_initial_channel": 32, "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3, 5]],
    }  # fmt: skip
    model = GAN(config)
    loud(model.model_g, 0.8)
    # the discriminator only trains; its weights are in the published files, too
    torch.save({"model": model.state_dict(), "step": 1}, folder / "best_model.pth")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))


def make_coqui_vits(folder: Path) -> list[str]:
    """VITS as coqui-tts trains it: one checkpoint that needs no vocoder."""
    import torch
    from TTS.tts.configs.shared_configs import CharactersConfig
    from TTS.tts.configs.vits_config import VitsConfig
    from TTS.tts.models.vits import Vits

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    letters = CharactersConfig(
        characters_class="TTS.tts.models.vits.VitsCharacters", pad="<PAD>", eos="<EOS>", bos="<BOS>", blank="<BLNK>",
        characters="abcdefghijklmnopqrstuvwxyz", punctuations="!,.? ",
    )  # fmt: skip
    config = VitsConfig(characters=letters, use_phonemes=False, text_cleaner="basic_cleaners")
    _shrink(config.model_args)
    model = Vits(config)
    loud(model)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    torch.save({"model": model.state_dict(), "step": 1}, folder / "model.pth")
    return ["model.pth", "config.json"]


def _shrink(args: Any) -> None:
    small = {
        "hidden_channels": 16, "hidden_channels_ffn_text_encoder": 16, "num_layers_text_encoder": 1,
        "num_heads_text_encoder": 1, "num_layers_posterior_encoder": 1, "num_layers_flow": 1,
        "upsample_initial_channel_decoder": 32, "resblock_kernel_sizes_decoder": [3],
        "resblock_dilation_sizes_decoder": [[1, 3, 5]], "init_discriminator": False,
    }  # fmt: skip
    for name, value in small.items():
        setattr(args, name, value)


def make_xtts(folder: Path) -> list[str]:
    """XTTS-v2's repository: one checkpoint, a BPE of letters, and the latents of its speakers."""
    import torch
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models.xtts import Xtts

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    _bpe(folder / "vocab.json")
    config = XttsConfig()
    small = {
        "gpt_layers": 1, "gpt_n_model_channels": 64, "gpt_n_heads": 2, "gpt_max_audio_tokens": 30,
        "gpt_num_audio_tokens": 1026, "gpt_start_audio_token": 1024, "gpt_stop_audio_token": 1025,
        "gpt_use_perceiver_resampler": True, "decoder_input_dim": 64, "tokenizer_file": str(folder / "vocab.json"),
    }  # fmt: skip
    for name, value in small.items():
        setattr(config.model_args, name, value)
    model = Xtts(config)
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    model.tokenizer = VoiceBpeTokenizer(vocab_file=str(folder / "vocab.json"))
    model.init_models()
    loud(model, 0.02)
    told = config.to_dict()
    told["model_args"]["tokenizer_file"] = ""
    (folder / "config.json").write_text(json.dumps(told))
    torch.save({"model": model.state_dict(), "step": 1}, folder / "model.pth")
    latents = {
        name: {"gpt_cond_latent": torch.randn(1, 32, 64), "speaker_embedding": torch.randn(1, 512, 1)}
        for name in ("Ana Florence", "Kumar Dahl")
    }
    torch.save(latents, folder / "speakers_xtts.pth")
    return ["model.pth", "config.json", "vocab.json", "speakers_xtts.pth"]


def _bpe(path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    pieces = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", "[hi]", *sorted({*LETTERS, *".,!?।"} - {" "})]
    tokenizer = Tokenizer(BPE({each: place for place, each in enumerate(pieces)}, [], unk_token="[UNK]"))
    tokenizer.add_special_tokens(["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", "[hi]"])
    tokenizer.save(str(path))
