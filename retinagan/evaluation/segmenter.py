"""What the segmenter's labels are worth: AUPR, Dice and Jaccard of each class on eyes that it was not trained on.

And whether the maps that are predicted with it hold as many lesions as annotated ones, as much of the field and of
the same size. A model folder with ``fold-0/``, ``fold-1/`` … holds the networks of a cross-validation: each is judged
on the annotated training eyes that it never saw, all together; together they are judged on the held-out split. Any
other folder's ``segmenter.safetensors`` is judged on the held-out split alone. Photographs are seen mirrored in four
ways, at the size that the networks were trained at, and scored at their own. The IDRiD challenge (Porwal et al.,
Medical Image Analysis 59, 2020) measured AUPR at 4288 × 2848 pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from retinagan.data.burden import compare
from retinagan.data.dataset import read_picture
from retinagan.data.prepare import read_manifest
from retinagan.data.pseudo import annotated_folds, known_disc, map_from_shares, unbiased_cuts, usual_cuts
from retinagan.data.segmenters import Segmenters
from retinagan.evaluation.criteria import AUPR, BURDEN, DISC_JACCARD, Criterion
from retinagan.evaluation.report import Report, Result
from retinagan.maps.labels import CLASSES, EX, HE, MA, OD, SE
from retinagan.models.segmenter import SEGMENTED
from retinagan.training.agreement import Agreement

CHALLENGE_AUPR = {EX: 0.89, HE: 0.68, SE: 0.70, MA: 0.50}
"""Best entries of the challenge, for orientation."""
CHALLENGE_DISC_JACCARD = 0.93

Case = tuple[dict[str, str], np.ndarray, np.ndarray]
"""An eye's row of the manifest, its predicted probabilities ``(5, S, S)`` and its annotated map."""


@dataclass(frozen=True)
class ClassLabels:
    """A class that so many ``photographs`` have: AUPR; Dice and Jaccard at the ``threshold`` that is best for them.
    Beside them the best entry of the challenge."""

    photographs: int
    aupr: float
    dice: float
    jaccard: float
    threshold: float
    challenge_aupr: float | None
    challenge_jaccard: float | None

    @classmethod
    def of(cls, agreement: Agreement, kind: int) -> ClassLabels:
        threshold = agreement.best_threshold(kind)
        dice = agreement.dice(kind, threshold)
        best = CHALLENGE_AUPR.get(kind), CHALLENGE_DISC_JACCARD if kind == OD else None
        return cls(agreement.photographs(kind), agreement.aupr(kind), dice, dice / (2 - dice), threshold, *best)


@dataclass(frozen=True)
class Labels(Result):
    """What labels are worth, by class."""

    title: ClassVar = "AUPR; Dice and Jaccard at the threshold that is best for them"
    classes: dict[str, ClassLabels]

    @classmethod
    def of(cls, agreement: Agreement) -> Labels:
        return cls({CLASSES[kind].short: ClassLabels.of(agreement, kind) for kind in SEGMENTED})

    def criteria(self) -> list[Criterion]:
        """AUPR of each lesion and the disc's Jaccard; what no eye has cannot be told."""
        judged = []
        for kind in SEGMENTED:
            limit = DISC_JACCARD if kind == OD else AUPR[kind]
            row = self.classes[CLASSES[kind].short]
            value = row.jaccard if kind == OD else row.aupr
            judged.append(limit.judge(value if row.photographs else None, f"{value:.3f}"))
        return judged


@dataclass(frozen=True)
class Burdens(Result):
    """Lesions of predicted maps and of annotated ones: medians of the eyes that have them, and their ratios."""

    title: ClassVar = "Lesions of predicted maps against annotated ones: medians of the eyes that have them"
    cuts: dict[str, dict[str, float]]
    lesions: dict[str, dict]

    def criteria(self) -> list[Criterion]:
        judged = []
        for kind in (EX, HE, MA):
            ratios = self.lesions.get(CLASSES[kind].short, {}).get("ratio", {})
            worst = float(np.max([abs(value - 1) for value in ratios.values()])) if ratios else None
            figures = ", ".join(f"{name} {value:.2f}" for name, value in ratios.items()) or "no eye has it"
            judged.append(BURDEN[kind].judge(worst, figures))
        return judged


def evaluate(data: Path, model: Path, out: Path, count: int | None = None, progress: bool = True) -> Report:
    """Judge a segmenter, or the folds of a cross-validation.

    Args:
        data: prepared folder.
        model: a folder with ``segmenter.safetensors``, or with such a folder ``fold-K`` for every fold.
        out: folder for ``segmenter.json`` and ``segmenter.md``.
        count: at most so many eyes of a split; None: all.

    Raises:
        FileNotFoundError: no segmenter there.
        ValueError: no annotated eyes, or folds that do not belong together.
    """
    networks, data = Segmenters.load(model), Path(data)
    manifest = read_manifest(data)
    masked = [row for row in manifest.values() if row["label"] == "masks"]
    heldout = [row for row in masked if row["split"] == "heldout"][:count]
    left_out = [row for row in masked if row["split"] == "train"][:count] if len(networks) > 1 else []
    if not heldout and not left_out:
        raise ValueError(f"{data} holds no annotated eyes to judge by; prepare a data set with lesion masks")
    results: dict[str, Result] = {}
    cuts = usual_cuts(networks.thresholds)
    with tqdm(total=len(heldout) + len(left_out), unit="eye", disable=not progress) as bar:

        def judged(rows: Iterable[dict[str, str]], folds: dict[str, int], name: str) -> list[Case]:
            agreement, cases = Agreement(), []
            for row in rows:
                photo, true = (
                    read_picture(data / kind / f"{row['id']}.png", mode, int(row["size"]))
                    for kind, mode in (("images", "RGB"), ("maps", "P"))
                )
                logits = networks.logits(photo, folds.get(row["eye"]))
                agreement.add(logits, true)
                cases.append((row, (1 / (1 + np.exp(-logits))).astype(np.float16), true))
                bar.update()
            if cases:
                results[name] = Labels.of(agreement)
            return cases

        cases = judged(left_out, annotated_folds(manifest, len(networks)), "cross_validation")
        if cases:
            cuts = unbiased_cuts([(shares, true) for _, shares, true in cases], cuts)
        cases = judged(heldout, {}, "heldout") or cases
    found = [
        map_from_shares(shares, cuts, int(row["grade"]) if row["grade"] else None, known_disc(row))
        for row, shares, _ in cases
    ]
    told = {CLASSES[kind].short: cut._asdict() for kind, cut in cuts.items()}
    results["burden"] = Burdens(told, compare([true for _, _, true in cases], found))
    counts = [f"{len(heldout)} held-out annotated eyes"] if heldout else []
    counts += [f"{len(left_out)} annotated eyes in {len(networks)}-fold cross-validation"] if left_out else []
    report = Report(
        name="segmenter",
        title=[f"Segmenter: {' and '.join(counts)}"],
        facts={"eyes": {"heldout": len(heldout), "cross_validation": len(left_out)}, "sha256": networks.hashes},
        results=results,
    )
    report.write(Path(out))
    return report
