"""Segmenters of a cross-validation look together, and their labels have the annotated burden."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from retinagan import checkpoints
from retinagan.data.burden import CANDIDATES
from retinagan.data.folds import fold_of
from retinagan.data.prepare import prepare, read_manifest
from retinagan.data.presence import FILE
from retinagan.data.pseudo import annotated_folds, pseudo_label, unbiased_cuts, usual_cuts
from retinagan.data.readers import read_folder
from retinagan.data.segmenters import Segmenters
from retinagan.maps.labels import EX, HE, MA, OD, map_with_disc
from retinagan.models.segmenter import SEGMENTED, photo_logits
from tests.models.test_segmenter import SIZE, painted, tiny


def save(path, seed: int, **facts) -> None:
    checkpoints.save(path / "segmenter.safetensors", "segmenter", tiny(seed), facts)


@pytest.fixture
def folds(tmp_path):
    for fold in range(2):
        save(tmp_path / "cv" / f"fold-{fold}", fold, folds=2, fold=fold, thresholds={"OD": 0.75})
    return tmp_path / "cv"


def test_networks_are_averaged_or_asked_alone(folds):
    together, photo = Segmenters.load(folds), painted(1)[0]
    alone = [photo_logits(network, photo).numpy() for network in together.networks]
    assert len(together) == 2 and together.size == SIZE and list(together.hashes) == ["fold-0", "fold-1"]
    np.testing.assert_allclose(together.logits(photo), (alone[0] + alone[1]) / 2, atol=1e-5)
    np.testing.assert_allclose(together.logits(photo, 1), alone[1], atol=1e-5)
    assert together.thresholds.tolist() == [0.5, 0.5, 0.5, 0.5, 0.75]
    one = Segmenters.load(folds / "fold-0")
    assert len(one) == 1 and one.hashes == {"segmenter": checkpoints.sha256(folds / "fold-0" / "segmenter.safetensors")}


def test_folds_that_do_not_belong_together_are_named(folds):
    save(folds / "fold-1", 1, folds=2, fold=0)
    with pytest.raises(ValueError, match=r"holds the folds \[0, 0\]"):
        Segmenters.load(folds)
    save(folds / "fold-1", 1, folds=3, fold=1)
    with pytest.raises(ValueError, match="one of 3 folds, but .* holds 2"):
        Segmenters.load(folds)


def test_cuts_give_the_annotated_burden_and_leave_the_disc_alone():
    true = map_with_disc(256, 200, 128, 20)
    true[100:108, 60:68], true[140:146, 60:66] = EX, MA
    shares = np.zeros((5, 256, 256))
    plane = shares[SEGMENTED.index(EX)]
    plane[96:112, 56:72], plane[100:108, 60:68] = 0.3, 0.6  # too wide below 0.3
    plane = shares[SEGMENTED.index(MA)]
    plane[140:146, 60:66], plane[160:166, 60:66] = 0.2, 0.1  # too many below 0.1
    usual = usual_cuts(np.full(5, 0.9))
    found = unbiased_cuts([(shares, true)], usual)
    assert 0.3 <= found[EX].threshold < 0.6 and 0.1 <= found[MA].threshold < 0.2
    assert {found[EX].threshold, found[MA].threshold} <= set(CANDIDATES)
    assert found[OD] == usual[OD] and found[HE] == usual[HE]  # no eye has haemorrhages


def test_another_photograph_of_an_annotated_eye_is_left_to_the_fold_that_did_not_learn_from_it(
    tmp_path, folds, monkeypatch
):
    source = tmp_path / "source"
    for name in ("images", "maps"):
        (source / name).mkdir(parents=True)
    table = ["id,grade,eye"]
    for seed in range(7):
        photo, label_map = painted(seed)
        Image.fromarray(photo).save(source / "images" / f"e{seed}.png")
        if seed < 6:
            Image.fromarray(label_map).save(source / "maps" / f"e{seed}.png")
        table.append(f"e{seed},2,eye-{0 if seed == 6 else seed}")
    (source / "grades.csv").write_text("\n".join(table) + "\n")
    prepare(read_folder(source), tmp_path / "data", size=SIZE, progress=False)
    rows = read_manifest(tmp_path / "data")
    annotated = [name for name, row in rows.items() if row["label"] == "masks" and row["split"] == "train"]
    own = annotated_folds(rows, 2)
    assert own == {rows[n]["eye"]: f for n, f in zip(annotated, fold_of(annotated, 2), strict=True)} and "eye-0" in own
    assert annotated_folds(rows, 1) == {}
    asked, logits = [], Segmenters.logits
    monkeypatch.setattr(Segmenters, "logits", lambda s, photo, fold: (asked.append(fold), logits(s, photo, fold))[1])
    report = pseudo_label(tmp_path / "data", folds, progress=False)
    assert report.labelled == ["e6"]
    assert asked[: len(annotated)] == [own[rows[n]["eye"]] for n in annotated] and asked[len(annotated)] == own["eye-0"]
    assert set(asked[len(annotated) + 1 :]) <= {None}
    noted = json.loads((tmp_path / "data" / FILE).read_text())
    assert list(noted["segmenter"]) == ["fold-0", "fold-1"] and noted["cuts"]["OD"]["threshold"] == 0.75
