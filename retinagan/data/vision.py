"""torchvision, importable beside a CPU-only torch as well. The only module of the project that imports it.

Its registry wheel is built for CUDA. Beside a CPU-only torch its compiled operators do not load, and
``import torchvision`` ends with ``operator torchvision::nms does not exist``, although transforms and tv_tensors
need none of them. Declaring the schemas of the missing operators is enough for those (``torchvision.io.read_image`` and
``torchvision.ops.nms`` stay unusable; this project needs neither).
"""

from __future__ import annotations

import sys

import torch


def _import_torchvision() -> torch.library.Library | None:
    try:
        import torchvision

        return None
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [n for n in sys.modules if n == "torchvision" or n.startswith("torchvision.")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401

    return library


_library = _import_torchvision()  # must stay referenced: the schemas vanish with it

from torchvision import tv_tensors  # noqa: E402
from torchvision.transforms import InterpolationMode, v2  # noqa: E402

__all__ = ["InterpolationMode", "tv_tensors", "v2"]
