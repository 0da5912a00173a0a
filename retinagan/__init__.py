"""RetinaGAN: colour fundus photographs from diabetic-retinopathy grades and lesion maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retinagan.pipeline import RetinaGAN as RetinaGAN

__version__ = "0.2.0"
__all__ = ["RetinaGAN", "__version__"]


def __getattr__(name: str):
    # Asked for late, so that the version and the command line's help need no torch.
    if name == "RetinaGAN":
        from retinagan.pipeline import RetinaGAN

        return RetinaGAN
    raise AttributeError(f"module 'retinagan' has no attribute {name!r}")
