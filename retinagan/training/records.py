"""What was measured of each eye as tensors, to be kept in a run's folder, and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Record = TypeVar("Record")
PLAIN = "plain"


def pack(records: Sequence[Any]) -> dict[str, Tensor]:
    """Dataclasses of arrays, numbers, texts and tuples of these → tensors ``INDEX/FIELD``; what is no array is JSON in
    one of them."""
    tensors: dict[str, Tensor] = {}
    plain = []
    for index, record in enumerate(records):
        values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        tensors |= {f"{index}/{name}": torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        plain.append({name: value for name, value in values.items() if name not in arrays})
    text = json.dumps(plain, default=float)
    tensors[PLAIN] = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    return tensors


def unpack(kind: type[Record], tensors: dict[str, Tensor]) -> list[Record]:
    """The records of a class that :func:`pack` made tensors of."""
    plain = json.loads(tensors[PLAIN].numpy().tobytes())
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return [
        kind(**values, **{name: tensors[f"{index}/{name}"].numpy() for name in names if name not in values})
        for index, values in enumerate(plain)
    ]
