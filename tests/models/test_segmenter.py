"""The segmenter: network, training, evaluation, and the pseudo-labels made with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from retinagan import checkpoints
from retinagan.data.dataset import PreparedDataset, load_prepared
from retinagan.data.folds import fold_of
from retinagan.data.prepare import prepare, read_manifest
from retinagan.data.presence import read_presence
from retinagan.data.pseudo import map_from_shares, pseudo_label, usual_cuts
from retinagan.data.readers import read_folder
from retinagan.data.segmenters import Segmenters
from retinagan.evaluation import segmenter as evaluation
from retinagan.maps.labels import BG, EX, HE, MA, OD, SE, VB, field_of_view, map_with_disc
from retinagan.models.segmenter import SEGMENTED, Segmenter, SegmenterConfig, turned_logits
from retinagan.training.export import export_run
from retinagan.training.loop import train
from retinagan.training.segmenter import SegmenterTask, known_classes, losses
from retinagan.training.settings import complete_config

SIZE = 64
COLOURS = {
    VB: (150, 70, 30),
    EX: (250, 240, 90),
    HE: (70, 10, 5),
    SE: (230, 220, 210),
    MA: (90, 0, 60),
    OD: (255, 190, 100),
}


def painted(seed: int, grade: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """A photograph whose lesions are told by colour alone, and its map."""
    draws = np.random.default_rng(seed)
    label_map = map_with_disc(SIZE, 14, 31, 6)
    for kind, side in ((EX, 5), (HE, 7), (SE, 8), (MA, 3)) if grade else ():
        y, x = draws.integers(12, 44, 2)
        window = label_map[y : y + side, x : x + side]
        window[window == VB] = kind
    photo = np.zeros((SIZE, SIZE, 3), np.uint8)
    for kind, colour in COLOURS.items():
        photo[label_map == kind] = colour
    noise = draws.integers(-8, 9, photo.shape)
    return np.where(label_map[..., None] == BG, 0, np.clip(photo + noise, 0, 255)).astype(np.uint8), label_map


def dataset(count: int = 8) -> PreparedDataset:
    pairs = [painted(seed, 0 if seed % 4 == 3 else 2) for seed in range(count)]
    return PreparedDataset(
        photos=np.stack([p for p, _ in pairs]), maps=np.stack([m for _, m in pairs]),
        vessels=np.zeros((count, SIZE, SIZE), np.uint8),
        grades=np.array([0 if s % 4 == 3 else 2 for s in range(count)]),
        fovea=np.full((count, 2), np.nan), ids=tuple(f"eye-{s}" for s in range(count)),
        labels=tuple("disc" if s % 4 == 3 else "masks" for s in range(count)),
    )  # fmt: skip


def config(**training) -> dict:
    return complete_config(
        {
            "task": "segmenter",
            "network": {"channels": [8, 12, 16], "size": SIZE},
            "training": {"batch_size": 4, "crop": 32, "ema_decay": 0.5, "seed": 3, **training},
        }
    )


def loaded(**training) -> SegmenterTask:
    task = SegmenterTask(config(**training), dataset())
    task.load()
    return task


def tiny(seed: int = 0, bias: float | None = None) -> Segmenter:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Segmenter(SegmenterConfig(channels=(8, 12, 16), size=SIZE)).eval()
    if bias is not None:
        torch.nn.init.zeros_(network.output.weight)
        torch.nn.init.constant_(network.output.bias, bias)
    return network


# --- network ---


def test_logits_and_features_have_their_shapes_and_do_not_depend_on_the_batch():
    network, photos = tiny(), torch.rand(3, 3, SIZE, SIZE)
    logits, features = network(photos), network.features(photos)
    assert logits.shape == (3, 5, SIZE, SIZE) and features.shape == (3, 2 * (8 + 12 + 16))
    torch.testing.assert_close(logits[1:2], network(photos[1:2]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features[2:], network.features(photos[2:]), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(features[0], features[1])


def test_mirrored_photographs_get_mirrored_logits_when_all_four_looks_are_averaged():
    network, photo = tiny(), torch.rand(1, 3, SIZE, SIZE)
    torch.testing.assert_close(
        turned_logits(network, photo.flip(-1)), turned_logits(network, photo).flip(-1), atol=1e-5, rtol=1e-5
    )


def test_sides_that_do_not_divide_are_named():
    with pytest.raises(ValueError, match="72×64; both sides must divide by 16"):
        tiny()(torch.zeros(1, 3, 72, 64))
    with pytest.raises(ValueError, match="must divide by 32"):
        SegmenterConfig(size=48, channels=(8,) * 6)


def test_a_checkpoint_rebuilds_the_network(tmp_path):
    network = tiny(4)
    checkpoints.save(tmp_path / "segmenter.safetensors", "segmenter", network, {}, torch.float32)
    again, _ = checkpoints.load(tmp_path / "segmenter.safetensors", "segmenter")
    photo = torch.rand(1, 3, SIZE, SIZE)
    assert torch.equal(again(photo), network(photo))


# --- training ---


def test_what_a_grade_tells():
    assert known_classes("masks", 3).tolist() == [1, 1, 1, 1, 1]
    assert known_classes("disc", 0).tolist() == [1, 1, 1, 1, 0]
    assert known_classes("", 1).tolist() == [1, 1, 1, 0, 0]
    assert known_classes("", 3).tolist() == [0, 0, 0, 0, 0]


def test_unknown_classes_have_no_say_in_the_loss():
    truth, known = torch.zeros(1, 5, 8, 8), torch.tensor([[1.0, 1, 1, 0, 0]])
    logits = torch.zeros(1, 5, 8, 8)
    other = logits.clone()
    other[:, 3:] = 9
    for one, two in zip(losses(logits, truth, known), losses(other, truth, known), strict=True):
        assert torch.equal(one, two)
    other[:, 0] = 9
    assert losses(other, truth, known)[0] > losses(logits, truth, known)[0]


def test_folds_deal_every_eye_out_once_and_leave_its_own_out():
    ids = tuple(f"e{i}" for i in range(10))
    folds = fold_of(ids, 3)
    assert np.bincount(folds).tolist() == [4, 3, 3]
    assert fold_of(ids[::-1], 3).tolist() == folds[::-1].tolist()  # by id, not by place
    tasks = [loaded(folds=3, fold=k) for k in range(3)]
    masked = {i for i, label in enumerate(dataset().labels) if label == "masks"}
    left_out = [masked - set(task.annotated) for task in tasks]
    assert set.union(*left_out) == masked and sum(map(len, left_out)) == len(masked)
    assert set(loaded().annotated) == masked


def test_crops_show_the_map_where_the_photograph_shows_the_lesion():
    batch = loaded(batch_size=32, graded_share=0).batch(torch.Generator().manual_seed(0))
    assert batch["photo"].shape == (32, 3, 32, 32) and batch["truth"].shape == (32, 5, 32, 32)
    disc = batch["truth"][:, SEGMENTED.index(OD)].bool()
    inner = (torch.nn.functional.avg_pool2d(disc.float()[:, None], 3, 1, 1) > 0.99)[:, 0]
    red, blue = batch["photo"][:, 0][inner].mean(), batch["photo"][:, 2][inner].mean()
    retina = batch["photo"].permute(0, 2, 3, 1)[(batch["truth"].sum(1) == 0) & (batch["photo"].sum(1) > 0.1)].mean(0)
    assert inner.any() and red > retina[0] * 1.3 and blue > retina[2] * 2
    assert all((batch["truth"][:, plane].sum() > 0) for plane in range(5))


def test_a_short_training_finds_what_colour_tells(tmp_path):
    set_up = config(steps=160, learning_rate=0.01, data="nowhere")
    train(lambda c: SegmenterTask(c, dataset()), set_up, tmp_path / "run", progress=False, accelerator="cpu")
    (path,) = export_run(tmp_path / "run", tmp_path / "out", lambda c: SegmenterTask(c, dataset()))
    network, facts = checkpoints.load(path, "segmenter")
    photo, label_map = painted(99)
    with torch.inference_mode():
        shares = network(torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255).sigmoid()[0].numpy()
    for kind in (EX, OD):
        plane = shares[SEGMENTED.index(kind)]
        found, truth = plane > facts["thresholds"][{EX: "EX", OD: "OD"}[kind]], label_map == kind
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.7, kind
    # Without its data a run is exported all the same.
    (path,) = export_run(tmp_path / "run", tmp_path / "other", SegmenterTask)
    assert checkpoints.load(path, "segmenter")[1]["thresholds"].startswith("0.5")


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="fold is 4 of 4"):
        config(folds=4, fold=4)
    with pytest.raises(ValueError, match="at most 1 together"):
        config(lesion_share=0.8, graded_share=0.4)
    with pytest.raises(ValueError, match="crop is 40; it must divide by 16"):
        SegmenterTask(config(crop=40))


# --- from predictions to maps ---


def shares_of(label_map: np.ndarray) -> np.ndarray:
    return np.stack([(label_map == kind) * 0.9 for kind in SEGMENTED])


HALF = usual_cuts(np.full(5, 0.5))


def full_map() -> np.ndarray:
    label_map = map_with_disc(512, 110, 250, 44)
    label_map[200:210, 300:310] = EX
    label_map[300:320, 300:320] = HE
    label_map[100:130, 250:280] = SE
    label_map[350:354, 200:204] = MA
    return label_map


def test_a_clear_prediction_becomes_its_map():
    label_map = full_map()
    found = map_from_shares(shares_of(label_map), HALF, 3, (110, 250))
    assert (found != label_map).mean() < 1e-3  # the disc's edge is opened a little
    for kind in (EX, HE, SE, MA):
        assert np.array_equal(found == kind, label_map == kind)


def test_the_grade_cleans_the_map():
    shares = shares_of(full_map())
    assert set(np.unique(map_from_shares(shares, HALF, 0, (110, 250)))) == {BG, OD, VB}
    assert set(np.unique(map_from_shares(shares, HALF, 1, (110, 250)))) == {BG, MA, OD, VB}
    shares[SEGMENTED.index(MA)] *= 0.3  # below the threshold: the likeliest place stands for the one there must be
    mild = map_from_shares(shares, HALF, 1, (110, 250))
    assert 0 < (mild == MA).sum() <= 9 and (mild[350:354, 200:204] == MA).any()


def test_specks_vessels_and_large_dots_are_no_lesions():
    label_map = full_map()
    label_map[400, 300] = EX
    label_map[420:424, 200:300] = HE  # a piece of a vessel
    label_map[150:160, 350:360] = MA  # too large: a haemorrhage
    found = map_from_shares(shares_of(label_map), HALF, 3, (110, 250))
    assert found[400, 300] == VB and (found[420:424, 200:300] == VB).all()
    assert (found[150:160, 350:360] == HE).all()


def test_the_disc_is_where_the_data_set_says():
    shares = shares_of(map_with_disc(512, 400, 250, 44))
    found = map_from_shares(shares, HALF, 2, (110, 250))
    ys, xs = np.nonzero(found == OD)
    assert abs(xs.mean() - 110) < 1 and abs(ys.mean() - 250) < 1 and found[250, 400] == VB
    assert not (map_from_shares(shares * 0, HALF, 2, None) == OD).any()
    assert np.array_equal(found == BG, ~field_of_view(512))


@pytest.fixture
def folder(tmp_path):
    """A prepared folder: six annotated eyes and two without a map, of grade 1 and 2."""
    source = tmp_path / "source"
    for name in ("images", "maps"):
        (source / name).mkdir(parents=True)
    table = ["id,grade"]
    for seed in range(8):
        photo, label_map = painted(seed)
        Image.fromarray(photo).save(source / "images" / f"e{seed}.png")
        if seed < 6:
            Image.fromarray(label_map).save(source / "maps" / f"e{seed}.png")
        table.append(f"e{seed},{1 if seed == 6 else 2}")
    (source / "grades.csv").write_text("\n".join(table) + "\n")
    report = prepare(read_folder(source), tmp_path / "data", size=SIZE, progress=False)
    assert not report.failed
    return tmp_path / "data"


def test_pseudo_labels_fill_the_gaps_alone(folder, tmp_path):
    checkpoints.save(
        tmp_path / "model" / "segmenter.safetensors", "segmenter", tiny(bias=-9), {"thresholds": {"EX": 0.5}}
    )
    before = {p.name: p.read_bytes() for p in (folder / "maps").iterdir()}
    report = pseudo_label(folder, tmp_path / "model", progress=False)
    rows = read_manifest(folder)
    new = [name for name, row in rows.items() if row["label"] == "pseudo"]
    assert report.labelled == new and len(new) == 2 and f"{len(new)} photographs" in report.summary()
    assert all(before[name] == (folder / "maps" / name).read_bytes() for name in before)
    for name in new:
        with Image.open(folder / "maps" / f"{name}.png") as picture:
            label_map = np.asarray(picture)
        kinds = set(np.unique(label_map))
        assert kinds == ({BG, VB, MA} if rows[name]["grade"] == "1" else {BG, VB})
        data = load_prepared(folder, rows[name]["split"])
        assert data.labels[data.ids.index(name)] == "pseudo"
    assert (
        pseudo_label(folder, tmp_path / "model", progress=False).labelled == new
    )  # again: its own labels are made anew
    heldout = [row for row in rows.values() if row["split"] == "heldout" and row["label"] == "masks"]
    noted = read_presence(folder)["EX"]
    assert noted["with"] + noted["without"] == len(heldout) and noted["sensitivity"] in (None, 0.0)  # it sees nothing


def test_another_size_is_refused(folder, tmp_path):
    network = Segmenter(SegmenterConfig(channels=(8, 8), size=128)).eval()
    checkpoints.save(tmp_path / "segmenter.safetensors", "segmenter", network, {})
    with pytest.raises(ValueError, match="prepared at size .64., the segmenter was trained at 128"):
        pseudo_label(folder, tmp_path, progress=False)


# --- evaluation ---


def test_figures_of_a_cross_validation_judge_each_eye_by_the_fold_that_left_it_out(folder, tmp_path, monkeypatch):
    for fold in range(2):
        checkpoints.save(
            tmp_path / "cv" / f"fold-{fold}" / "segmenter.safetensors",
            "segmenter",
            tiny(fold),
            {"folds": 2, "fold": fold},
        )
    data = [load_prepared(folder, split, include_unlabelled=True) for split in ("train", "heldout")]
    maps = {name: m for part in data for name, m in zip(part.ids, part.maps, strict=True)}
    photos = {name: p for part in data for name, p in zip(part.ids, part.photos, strict=True)}
    seen = {}

    def logits(_networks, photo, fold):
        name = next(name for name, own in photos.items() if np.array_equal(own, photo))
        seen[name] = fold
        return shares_of(maps[name]) * 20 - 9

    monkeypatch.setattr(Segmenters, "logits", logits)
    report = evaluation.evaluate(folder, tmp_path / "cv", tmp_path / "out", progress=False)
    figures = report.figures()
    rows = read_manifest(folder)
    train, heldout = (
        [n for n, r in rows.items() if r["label"] == "masks" and r["split"] == split] for split in ("train", "heldout")
    )
    assert train and heldout and figures["eyes"] == {"heldout": len(heldout), "cross_validation": len(train)}
    assert seen == dict(zip(train, fold_of(train, 2), strict=True)) | dict.fromkeys(heldout)
    for part in ("cross_validation", "heldout"):
        row = figures[part]["classes"]["OD"]
        assert (
            row["dice"] == pytest.approx(1) and row["jaccard"] == pytest.approx(1) and row["aupr"] == pytest.approx(1)
        )
    assert figures["burden"]["lesions"]["EX"]["ratio"] == {"number": 1, "area": 1, "size": 1}
    met = {one["name"].split(":")[0]: one["met"] for one in figures["criteria"]}
    assert met["AUPR of hard exudate on unseen annotated eyes"] and met["Jaccard of the disc on unseen annotated eyes"]
    text = report.text()
    assert "2-fold cross-validation" in text and "jaccard" in text and "challenge aupr" in text and "0.930" in text
    (tmp_path / "cv" / "fold-1" / "segmenter.safetensors").unlink()
    with pytest.raises(ValueError, match="one of 2 folds"):
        evaluation.evaluate(folder, tmp_path / "cv", tmp_path / "out", progress=False)


def test_facts_name_no_files_of_the_machine_that_trained(tmp_path):
    set_up = config(steps=2, data="some/where")
    train(lambda c: SegmenterTask(c, dataset()), set_up, tmp_path / "run", progress=False, accelerator="cpu")
    (path,) = export_run(tmp_path / "run", tmp_path / "out", lambda c: SegmenterTask(c, dataset()))
    training = checkpoints.load(path, "segmenter")[1]["config"]["training"]
    assert "data" not in training and training["crop"] == 32
