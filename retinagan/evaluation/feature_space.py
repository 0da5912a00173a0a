"""How far generated photographs are from real ones in the feature space of a fixed network.

The space is that of the project's own segmenter (its hash is reported), or of Inception when a file with its weights
is given. Distances between few samples are biased by their number, and by the mix of grades: here both sides have the
same of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from scipy.spatial.distance import cdist

from retinagan.evaluation.distances import (
    compare,
    density_and_coverage,
    frechet_distance,
    kernel_distance,
)
from retinagan.models.segmenter import photo_planes, turned_logits

MOST = 2.0
"""Fréchet distance of generated to held-out real photographs over that of training to held-out real ones, at most."""

DRAWS = 20
"""Random draws that distances between sets of equal mix are averaged over."""


@torch.inference_mode()
def segmenter_features(segmenter: torch.nn.Module, photo: np.ndarray) -> np.ndarray:
    """Features ``float32 (F,)`` of a photograph ``uint8 (S, S, 3)``."""
    return segmenter.features(_batch(segmenter, photo))[0].float().cpu().numpy()


@torch.inference_mode()
def segmenter_logits(segmenter: torch.nn.Module, photo: np.ndarray) -> np.ndarray:
    """Logits ``float32 (5, S, S)`` of a photograph ``uint8 (S, S, 3)``, the mean over its mirror images."""
    return turned_logits(segmenter, _batch(segmenter, photo))[0].cpu().numpy()


def _batch(segmenter: torch.nn.Module, photo: np.ndarray) -> torch.Tensor:
    return photo_planes(photo).to(next(segmenter.parameters()).device)


def quotas(wanted: np.ndarray, *available: np.ndarray) -> dict[int, int]:
    """How many samples of each grade to take so that every set has the mix of ``wanted``.

    As many as all of ``available`` hold; grades that one of them lacks are left out.

    Args:
        wanted: ``int (N,)`` grades, -1 unknown.
        available: grades of the sets that are drawn from.
    """
    counts = {int(g): int((wanted == g).sum()) for g in np.unique(wanted)}
    least = {g: min(int((grades == g).sum()) for grades in available) for g in counts}
    shared = {g: n for g, n in counts.items() if least[g]}
    if not shared:
        return {}
    # Grades of which a set has only a few must not shrink all others to nothing: they may fall short by half.
    factor = min(max(least[g], n / 2) / n for g, n in shared.items())
    return {g: min(least[g], max(1, round(factor * n))) for g, n in shared.items()}


def draw(grades: np.ndarray, quota: dict[int, int], rng: np.random.Generator) -> np.ndarray:
    """Places of a random sample with the quota of each grade."""
    return np.concatenate([rng.choice(np.flatnonzero(grades == g), n, replace=False) for g, n in quota.items()])


def compare_features(
    real: np.ndarray,
    real_grades: np.ndarray,
    train: np.ndarray,
    train_grades: np.ndarray,
    generated: np.ndarray,
    eyes: np.ndarray,
) -> dict:
    """Distances in a feature space.

    Args:
        real: held-out real photographs, ``(N, F)``, and their grades ``(N,)``.
        train: training photographs, ``(T, F)``, and their grades.
        generated: ``(M, F)``, made for the held-out eyes ``eyes (M,)``.

    Returns:
        ``frechet`` and ``kernel``: ``generated`` and ``train`` to all held-out real ones, drawn ``n`` each with the
        held-out grades' mix, and their ``ratio``; ``halves``: real half against real half and generated against real
        half (:func:`retinagan.evaluation.distances.compare`). ``density``, ``coverage`` of the held-out ones by as
        many generated ones. ``nearest``: quartiles of the distance to the nearest training photograph, of generated
        and held-out real ones.
    """
    generated_grades = real_grades[eyes]
    quota = quotas(real_grades, train_grades, generated_grades)
    n = sum(quota.values())
    if n < 2:
        raise ValueError("fewer than two photographs of the grades that real ones have; raise the count")
    rng = np.random.default_rng(0)
    figures: dict = {"n": n, "n_heldout": len(real), "n_train": len(train), "n_generated": len(generated)}
    rows = {"frechet": [], "kernel": []}
    for _ in range(DRAWS):
        ours, theirs = generated[draw(generated_grades, quota, rng)], train[draw(train_grades, quota, rng)]
        for name, distance in (("frechet", frechet_distance), ("kernel", kernel_distance)):
            rows[name].append((distance(ours, real), distance(theirs, real)))
    for name, distance in (("frechet", frechet_distance), ("kernel", kernel_distance)):
        ours, theirs = np.mean(rows[name], axis=0)
        figures[name] = {
            "generated": float(ours), "train": float(theirs), "ratio": float(ours / theirs) if theirs > 0 else None,
            "halves": compare(distance, real, generated, eyes, DRAWS),
        }  # fmt: skip
    several = [
        density_and_coverage(real, generated[rng.permutation(len(generated))[: len(real)]], min(5, len(real) - 1))
        for _ in range(DRAWS)
    ]
    figures["density"], figures["coverage"] = (float(v) for v in np.mean(several, axis=0))
    figures["nearest"] = {
        name: [float(v) for v in np.percentile(cdist(values, train).min(axis=1), [25, 50, 75])]
        for name, values in (("real", real), ("generated", generated))
    }
    return figures


def inception_features(photos: Iterable[np.ndarray], weights: Path) -> np.ndarray:
    """Pool features ``float32 (N, 2048)`` of the Inception network of FID, for those who have its weights.

    Args:
        photos: ``uint8 (S, S, 3)``.
        weights: torch-fidelity's ``pt_inception-2015-12-05-….pth`` as safetensors; nothing is downloaded or unpickled.
            To convert: ``safetensors.torch.save_file(torch.load(path, weights_only=True), "inception.safetensors")``.

    Raises:
        FileNotFoundError, ValueError: no such file, or not safetensors.
        ImportError: torchmetrics or torch-fidelity is not installed.
    """
    if not Path(weights).is_file():
        raise FileNotFoundError(f"no Inception weights at {weights}; see inception_features for the file that is meant")
    try:
        state = load_file(weights)
    except SafetensorError as error:
        raise ValueError(f"{weights} is not a safetensors file; convert it as inception_features says") from error
    try:
        from torchmetrics.image.fid import NoTrainInceptionV3

        import retinagan.data.vision  # noqa: F401  before torchmetrics imports torchvision

        with TemporaryDirectory() as folder:
            # torch-fidelity reads pickles alone: this one holds nothing but the tensors read above.
            torch.save(state, f"{folder}/inception.pth")
            network = NoTrainInceptionV3("inception-v3-compat", ["2048"], f"{folder}/inception.pth")
    except ImportError as error:  # also raised, as its subclass, when torch-fidelity is missing
        raise ImportError(
            "Inception distances need two more packages: pip install torchmetrics torch-fidelity; "
            "the distances in the segmenter's feature space need none"
        ) from error
    with torch.inference_mode():
        rows = [network(torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None]) for photo in photos]
    return torch.cat(rows).float().numpy()
