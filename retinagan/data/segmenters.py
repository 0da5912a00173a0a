"""Segmenters that look together: one network, or those of a cross-validation, each of which left some eyes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from retinagan import checkpoints
from retinagan.maps.labels import CLASSES
from retinagan.models.segmenter import SEGMENTED, Segmenter, photo_logits


def fold_of(ids: Sequence[str], folds: int) -> np.ndarray:
    """The fold of each annotated eye, ``int (N,)``: dealt out in the order of their ids."""
    order = np.argsort(np.array(ids))
    result = np.empty(len(ids), dtype=int)
    result[order] = np.arange(len(ids)) % folds
    return result


@dataclass(frozen=True)
class Segmenters:
    """Networks with the facts and the SHA-256 of their files, by folder name; of a cross-validation in fold order."""

    networks: tuple[Segmenter, ...]
    facts: tuple[dict, ...]
    hashes: dict[str, str]

    @classmethod
    def load(cls, path: Path | str) -> Segmenters:
        """From a checkpoint, a model folder with ``segmenter.safetensors``, or a folder with such a ``fold-K`` a fold.

        Raises:
            FileNotFoundError: no segmenter there.
            retinagan.checkpoints.CheckpointError: a file is damaged or of another network.
            ValueError: folds that do not belong together.
        """
        path = Path(path)
        folds = sorted(path.glob("fold-*/segmenter.safetensors"))
        if not folds:
            path = path / "segmenter.safetensors" if path.is_dir() else path
            network, facts = checkpoints.load(path, "segmenter")
            return cls((cast(Segmenter, network),), (facts,), {"segmenter": checkpoints.sha256(path)})
        loaded = [checkpoints.load(one, "segmenter") for one in folds]
        for one, (_, facts) in zip(folds, loaded, strict=True):
            if facts.get("folds") != len(folds):
                raise ValueError(
                    f"{one} is one of {facts.get('folds')} folds, but {path} holds {len(folds)}; train them all"
                )
        loaded.sort(key=lambda pair: pair[1]["fold"])
        if [facts["fold"] for _, facts in loaded] != list(range(len(folds))):
            raise ValueError(f"{path} holds the folds {[facts['fold'] for _, facts in loaded]}; each must be there")
        networks = tuple(cast(Segmenter, network) for network, _ in loaded)
        return cls(networks, tuple(facts for _, facts in loaded), {p.parent.name: checkpoints.sha256(p) for p in folds})

    def __len__(self) -> int:
        return len(self.networks)

    @property
    def size(self) -> int:
        """Side of the photographs that they were trained on."""
        return self.networks[0].config.size

    @property
    def thresholds(self) -> np.ndarray:
        """Probabilities ``(5,)`` above which a class counts as predicted: the first file's; 0.5 where it tells none."""
        told = self.facts[0].get("thresholds")
        found = told if isinstance(told, dict) else {}
        return np.array([found.get(CLASSES[kind].short, 0.5) for kind in SEGMENTED])

    def logits(self, photo: np.ndarray, fold: int | None = None) -> np.ndarray:
        """Logits ``float32 (5, S, S)`` of a photograph ``uint8 (S, S, 3)``: the mean, or those of one network."""
        chosen = self.networks if fold is None else (self.networks[fold],)
        return np.mean([photo_logits(network, photo).float().cpu().numpy() for network in chosen], axis=0)
