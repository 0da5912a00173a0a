"""What the segmenter's labels are worth: Dice and AUPR of each class on eyes that it was not trained on.

A model folder with ``fold-0/``, ``fold-1/`` … holds the networks of a cross-validation: each is judged on the annotated
training eyes that it never saw, all together. Any other folder's ``segmenter.safetensors`` is judged on the held-out
split. The IDRiD challenge (Porwal et al., Medical Image Analysis 59, 2020) measured AUPR at 4288 × 2848 pixels; here a
side has 512.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tqdm import tqdm

from retinagan import checkpoints
from retinagan.data.dataset import load_prepared
from retinagan.evaluation.feature_space import segmenter_logits
from retinagan.evaluation.photo_sets import annotated
from retinagan.evaluation.report import Report, Result
from retinagan.maps.labels import CLASSES, OD
from retinagan.models.segmenter import SEGMENTED
from retinagan.training.agreement import Agreement
from retinagan.training.segmenter import fold_of

CHALLENGE_AUPR = {"MA": 0.50, "HE": 0.68, "EX": 0.89, "SE": 0.70}
"""Best entries of the challenge, for orientation."""
CHALLENGE_DISC_JACCARD = 0.93


@dataclass(frozen=True)
class ClassLabels:
    """One class that so many ``photographs`` have: AUPR, Dice at the best ``threshold``; of the disc Jaccard too.
    Beside them the best entry of the challenge."""

    photographs: int
    aupr: float
    dice: float
    threshold: float
    jaccard: float | None
    challenge_aupr: float | None
    challenge_jaccard: float | None

    @classmethod
    def of(cls, agreement: Agreement, kind: int) -> ClassLabels:
        threshold = agreement.best_threshold(kind)
        dice = agreement.dice(kind, threshold)
        jaccard, best = (dice / (2 - dice), CHALLENGE_DISC_JACCARD) if kind == OD else (None, None)
        aupr = CHALLENGE_AUPR.get(CLASSES[kind].short)
        return cls(agreement.photographs(kind), agreement.aupr(kind), dice, threshold, jaccard, aupr, best)


@dataclass(frozen=True)
class Labels(Result):
    """What labels are worth, by class."""

    title: ClassVar = "Dice at the best threshold, AUPR without one"
    classes: dict[str, ClassLabels]


def evaluate(data: Path, model: Path, out: Path, count: int | None = None, progress: bool = True) -> Report:
    """Judge a segmenter, or the folds of a cross-validation.

    Args:
        data: prepared folder.
        model: a folder with ``segmenter.safetensors``, or with such a folder ``fold-K`` for every fold.
        out: folder for ``segmenter.json`` and ``segmenter.md``.
        count: at most so many eyes; None: all.

    Raises:
        FileNotFoundError: no segmenter there.
        ValueError: no annotated eyes, or folds that do not belong together.
    """
    folds = sorted(Path(model).glob("fold-*/segmenter.safetensors"))
    agreement = Agreement()
    if folds:
        data_set = load_prepared(data, "train", include_unlabelled=True)
        eyes = annotated(data_set)
        jobs, hashes = [], {}
        for path in folds:
            segmenter, facts = checkpoints.load(path, "segmenter")
            if facts.get("folds") != len(folds):
                raise ValueError(
                    f"{path} is one of {facts.get('folds')} folds, but {model} holds {len(folds)}; train them all"
                )
            dealt = fold_of(tuple(data_set.ids[i] for i in eyes), len(folds))
            jobs += [(segmenter, i) for i, fold in zip(eyes, dealt, strict=True) if fold == facts["fold"]]
            hashes[path.parent.name] = checkpoints.sha256(path)
        how = f"{len(folds)}-fold cross-validation"
    else:
        path = Path(model) / "segmenter.safetensors"
        segmenter, _ = checkpoints.load(path, "segmenter")
        data_set = load_prepared(data, "heldout")
        jobs = [(segmenter, i) for i in annotated(data_set)]
        hashes = {"segmenter": checkpoints.sha256(path)}
        how = "held-out eyes"
    if not jobs:
        raise ValueError(f"{data} holds no annotated eyes to judge by; prepare a data set with lesion masks")
    jobs = jobs[:count]
    for segmenter, index in tqdm(jobs, unit="eye", disable=not progress):
        agreement.add(segmenter_logits(segmenter, data_set.photos[index]), data_set.maps[index])
    labels = Labels({CLASSES[kind].short: ClassLabels.of(agreement, kind) for kind in SEGMENTED})
    report = Report(
        name="segmenter",
        title=[f"Segmenter, {how}: {len(jobs)} annotated eyes"],
        facts={"how": how, "eyes": len(jobs), "sha256": hashes},
        results={"labels": labels},
    )
    report.write(out)
    return report
