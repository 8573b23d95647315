"""torchvision beside a torch that it was not built for: its transforms are plain Python, and only those are needed.

transformers resizes frames with torchvision. Where its compiled operations do not fit the torch that is installed (the
registries have torchvision for CUDA only, and torch without CUDA comes from elsewhere), importing it fails because two
of them are not declared.
"""

import sys
from typing import Any

_DECLARED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def import_torchvision() -> Any:
    """Import it, declaring what its compiled part would declare if that cannot be loaded.

    For a process that runs nothing but engines of transformers. Returns what must live as long as the process, or None.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        import torch

        for name in [each for each in sys.modules if each.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operation in _DECLARED:
            library.define(operation)
        import torchvision  # noqa: F401

        return library
    return None
