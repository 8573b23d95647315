"""M2M100's whole vocabulary for CTranslate2's converter, which looks for languages where older transformers kept them.

Needs torch and transformers.
"""

from typing import Any


def teach_converter() -> None:
    """Let CTranslate2's converter, in this process, find M2M100's language tokens by their numbers."""
    from ctranslate2.converters import transformers as converters

    class Loader(converters.M2M100Loader):  # type: ignore[misc]
        def get_vocabulary(self, model: Any, tokenizer: Any) -> list[str]:
            tokens = {number: token for token, number in tokenizer.get_vocab().items()}
            tokens |= getattr(tokenizer, "id_to_lang_token", {})
            # the publisher's embedding has a few rows more than tokens
            return [tokens.get(number, f"madeupword{number}") for number in range(model.config.vocab_size)]

    converters._MODEL_LOADERS["M2M100Config"] = Loader()
