"""What the segmenter's labels are worth: Dice and AUPR of each class on eyes that it was not trained on.

A model folder with ``fold-0/``, ``fold-1/`` … holds the networks of a cross-validation: each is judged on the annotated training
eyes that it never saw, all together. Any other folder's ``segmenter.safetensors`` is judged on the held-out split.
The IDRiD challenge (Porwal et al., Medical Image Analysis 59, 2020) measured AUPR at 4288 × 2848 pixels; here a side has 512.
"""

from __future__ import annotations

import json
from pathlib import Path

from tqdm import tqdm

from retinagan import checkpoints
from retinagan.data.dataset import load_prepared
from retinagan.evaluation.feature_space import segmenter_logits
from retinagan.maps.labels import CLASSES, OD
from retinagan.models.segmenter import SEGMENTED
from retinagan.training.agreement import Agreement
from retinagan.training.segmenter import fold_of

CHALLENGE_AUPR = {"MA": 0.50, "HE": 0.68, "EX": 0.89, "SE": 0.70}
"""Best entries of the challenge, for orientation."""
CHALLENGE_DISC_JACCARD = 0.93


def evaluate(data: Path, model: Path, out: Path, count: int | None = None, progress: bool = True) -> dict:
    """Judge a segmenter, or the folds of a cross-validation; writes ``segmenter.json`` into ``out``.

    Args:
        data: prepared folder.
        model: a folder with ``segmenter.safetensors``, or with such a folder ``fold-K`` for every fold.
        out: folder to write.
        count: at most so many eyes; None: all.

    Raises:
        FileNotFoundError: no segmenter there.
        ValueError: no annotated eyes, or folds that do not belong together.
    """
    folds = sorted(Path(model).glob("fold-*/segmenter.safetensors"))
    agreement = Agreement()
    if folds:
        data_set = load_prepared(data, "train", include_unlabelled=True)
        annotated = [i for i, label in enumerate(data_set.labels) if label == "masks"]
        jobs, hashes = [], {}
        for path in folds:
            segmenter, facts = checkpoints.load(path, "segmenter")
            if facts.get("folds") != len(folds):
                raise ValueError(
                    f"{path} is one of {facts.get('folds')} folds, but {model} holds {len(folds)}; train them all"
                )
            dealt = fold_of(tuple(data_set.ids[i] for i in annotated), len(folds))
            jobs += [(segmenter, i) for i, fold in zip(annotated, dealt, strict=True) if fold == facts["fold"]]
            hashes[path.parent.name] = checkpoints.sha256(path)
        how = f"{len(folds)}-fold cross-validation"
    else:
        path = Path(model) / "segmenter.safetensors"
        segmenter, _ = checkpoints.load(path, "segmenter")
        data_set = load_prepared(data, "heldout")
        jobs = [(segmenter, i) for i, label in enumerate(data_set.labels) if label == "masks"]
        hashes = {"segmenter": checkpoints.sha256(path)}
        how = "held-out eyes"
    if not jobs:
        raise ValueError(f"{data} holds no annotated eyes to judge by; prepare a data set with lesion masks")
    jobs = jobs[:count]
    for segmenter, index in tqdm(jobs, unit="eye", disable=not progress):
        agreement.add(segmenter_logits(segmenter, data_set.photos[index]), data_set.maps[index])
    classes = {}
    for kind in SEGMENTED:
        threshold = agreement.best_threshold(kind)
        dice = agreement.dice(kind, threshold)
        classes[CLASSES[kind].short] = {
            "photographs": agreement.photographs(kind), "aupr": agreement.aupr(kind), "dice": dice, "threshold": threshold,
        }  # fmt: skip
        if kind == OD:
            classes[CLASSES[kind].short]["jaccard"] = dice / (2 - dice)
    figures = {"how": how, "eyes": len(jobs), "classes": classes, "sha256": hashes}
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "segmenter.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return figures


def table(figures: dict) -> str:
    """The figures as a table; Dice at the best threshold, AUPR without one."""
    lines = [
        f"segmenter, {figures['how']}: {figures['eyes']} annotated eyes",
        "class  photographs  AUPR   best of the challenge  Dice   at probability",
    ]
    for short, row in figures["classes"].items():
        best = CHALLENGE_AUPR.get(short)
        beside = f"{best:.2f}" if best else f"Jaccard {CHALLENGE_DISC_JACCARD:.2f}"
        extra = f"  Jaccard {row['jaccard']:.3f}" if "jaccard" in row else ""
        lines.append(
            f"{short:5}  {row['photographs']:11}  {row['aupr']:.3f}  {beside:21}  {row['dice']:.3f}  {row['threshold']:.2f}{extra}"
        )
    return "\n".join(lines)
