"""torchvision beside a torch that it was not built for: its transforms are plain Python, and only those are needed.

transformers resizes frames with torchvision. Where its compiled operations do not fit the torch that is installed (the
registries have torchvision for CUDA only, and torch without CUDA comes from elsewhere), importing it fails because two
of them are not declared.
"""

import sys
from importlib import import_module
from importlib.util import find_spec

_DECLARED = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def fit_torchvision() -> None:
    """Import torchvision, if it is there, declaring what its compiled part would declare if that cannot be loaded.

    Before transformers is imported, in a process of an engine that runs on it.
    """
    if find_spec("torchvision") is None:
        return
    try:
        import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        import torch

        for name in [each for each in sys.modules if each.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for operation in _DECLARED:
            library.define(operation)
        # the declarations last as long as the library object
        vars(import_module("torchvision"))["declared"] = library
