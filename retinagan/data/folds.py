"""Networks that look together: one, or those of a cross-validation, each of which left some eyes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
from torch import nn

from retinagan import checkpoints

Network = TypeVar("Network", bound=nn.Module)


def fold_of(ids: Sequence[str], folds: int) -> np.ndarray:
    """The fold of each eye, ``int (N,)``: dealt out in the order of their ids."""
    order = np.argsort(np.array(ids))
    result = np.empty(len(ids), dtype=int)
    result[order] = np.arange(len(ids)) % folds
    return result


def fold_by_grade(eyes: Sequence[str], grades: Sequence[int] | np.ndarray, folds: int) -> np.ndarray:
    """The fold of each graded photograph, ``int (N,)``: photographs of one eye go together, and every fold has about
    as many eyes of each grade.

    Eyes are dealt out in turn, grade by grade; one whose photographs were graded differently counts by the highest.
    """
    highest: dict[str, int] = {}
    for eye, grade in zip(eyes, grades, strict=True):
        highest[eye] = max(int(grade), highest.get(eye, -1))
    dealt = dict(zip(highest, fold_of([f"{grade} {eye}" for eye, grade in highest.items()], folds), strict=True))
    return np.array([dealt[eye] for eye in eyes], dtype=int)


@dataclass(frozen=True)
class Ensemble(Generic[Network]):
    """Networks with the facts and the SHA-256 of their files, by folder name; of a cross-validation in fold order."""

    networks: tuple[Network, ...]
    facts: tuple[dict, ...]
    hashes: dict[str, str]

    name: ClassVar[str]
    """Of the network, a key of ``checkpoints.NETWORKS``."""

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """From a checkpoint, a model folder with ``NAME.safetensors``, or a folder with such a ``fold-K`` a fold.

        Raises:
            FileNotFoundError: no such network there.
            retinagan.checkpoints.CheckpointError: a file is damaged or of another network.
            ValueError: folds that do not belong together.
        """
        path = Path(path)
        folds = sorted(path.glob(f"fold-*/{cls.name}.safetensors"))
        if not folds:
            path = path / f"{cls.name}.safetensors" if path.is_dir() else path
            network, facts = checkpoints.load(path, cls.name)
            return cls((network,), (facts,), {cls.name: checkpoints.sha256(path)})
        loaded = [checkpoints.load(one, cls.name) for one in folds]
        for one, (_, facts) in zip(folds, loaded, strict=True):
            if facts.get("folds") != len(folds):
                raise ValueError(
                    f"{one} is one of {facts.get('folds')} folds, but {path} holds {len(folds)}; train them all"
                )
        loaded.sort(key=lambda pair: pair[1]["fold"])
        if [facts["fold"] for _, facts in loaded] != list(range(len(folds))):
            raise ValueError(f"{path} holds the folds {[facts['fold'] for _, facts in loaded]}; each must be there")
        networks, told = zip(*loaded, strict=True)
        return cls(networks, told, {one.parent.name: checkpoints.sha256(one) for one in folds})

    def __len__(self) -> int:
        return len(self.networks)

    def chosen(self, fold: int | None) -> tuple[Network, ...]:
        """The network that left a fold out, or all."""
        return self.networks if fold is None else (self.networks[fold],)
