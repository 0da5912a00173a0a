from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from retinagan import checkpoints
from retinagan.data.dataset import PreparedDataset
from retinagan.maps.labels import BG, EX, HE, LESIONS, MA, OD, SE, VB, empty_map
from retinagan.maps.parts import field_of_view
from retinagan.models.stylegan import MapGeneratorConfig
from retinagan.training import maps as maps_module
from retinagan.training.export import export_run
from retinagan.training.loop import train
from retinagan.training.map_reals import RealMaps
from retinagan.training.maps import PLANE_GAINS, MapsTask, judged_planes, soften
from retinagan.training.settings import load_config, task_for
from retinagan.training.state import latest_state, read_state
from tests.paths import CONFIGS

SIDE, SIZE = 128, 32
TINY = {
    "task": "maps",
    "network": {"latent_dim": 8, "w_dim": 8, "mapping_layers": 2, "channels": [8, 8, 8, 8]},
    "discriminator": {"channels": [8, 8]},
    "training": {
        "batch": 5,
        "seed": 1,
        "log_every": 5,
        "r1_every": 2,
        "ema_decay": 0.9,
        "background": 5.0,
        "learning_rate": 6e-3,
    },
}


def eye(disc="left", **lesions):
    """A map of side 128 with squares of lesions: ``MA=[(row, column, side), …]``."""
    label_map = empty_map(SIDE, disc)
    for name, squares in lesions.items():
        for row, column, side in squares:
            label_map[row : row + side, column : column + side] = {"EX": EX, "HE": HE, "SE": SE, "MA": MA}[name]
    return label_map


def some_eyes():
    """Each grade has a lesion of its own, so that a drawn map tells where its lesions came from."""
    dots = [(40, 80, 2), (60, 90, 2), (90, 70, 2), (70, 60, 2)]
    maps = [
        eye("left"),
        eye("right"),
        eye("left", EX=[(60, 90, 12)], MA=dots),
        eye("left", HE=[(60, 90, 12)], MA=dots),
        eye("left", SE=[(60, 90, 12)], MA=dots),
    ]
    return np.stack(maps), np.array([0, 0, 2, 3, 4])


@pytest.fixture(scope="module")
def reals():
    return RealMaps(*some_eyes(), SIZE)


def draw(reals, grade, count=12, seed=0):
    return reals.batch(torch.full((count,), grade), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("grade", range(5))
def test_real_maps_are_area_shares_inside_the_field(reals, grade):
    planes = draw(reals, grade)
    assert planes.shape == (12, 7, SIZE, SIZE) and planes.dtype == torch.float32
    assert planes.min() >= 0 and torch.allclose(planes.sum(dim=1), torch.ones(12, SIZE, SIZE), atol=1e-6)
    inside = torch.from_numpy(field_of_view(SIDE)).float()
    expected = 1 - torch.nn.functional.avg_pool2d(inside[None], SIDE // SIZE)
    assert torch.equal(planes[:, BG], expected.expand(12, -1, -1))
    disc = planes[:, OD].mean(dim=(1, 2))
    assert (disc > 0.01).all() and (disc < 0.05).all()


def test_each_grade_has_the_lesions_of_its_own_eyes(reals):
    found = {grade: {k for k in LESIONS if draw(reals, grade)[:, k].sum() > 0} for grade in range(5)}
    assert found == {0: set(), 1: {MA}, 2: {EX, MA}, 3: {HE, MA}, 4: {SE, MA}}


def test_discs_painted_as_circles_give_way_to_oval_ones(reals):
    assert len(reals.discs) == len(some_eyes()[0])  # circles all, and there are no others
    oval = np.where((eye("left") == OD) | (np.roll(eye("left") == OD, 10, axis=0)), OD, eye("left")).astype(np.uint8)
    maps, grades = some_eyes()
    mixed = RealMaps(np.concatenate([maps, [oval]]), np.append(grades, 2), SIZE)
    assert len(mixed.discs) == 1
    # Turned by 12 degrees at most, it stays higher than wide.
    for disc in draw(mixed, 0)[:, OD] > 0.5:
        ys, xs = torch.nonzero(disc).T
        assert ys.max() - ys.min() > xs.max() - xs.min()


def test_grade_1_has_few_microaneurysms(reals):
    areas = draw(reals, 1, count=30)[:, MA].sum(dim=(1, 2)) * (SIDE // SIZE) ** 2 / 4  # of 4 pixels each
    assert (areas < 6).all() and areas.max() > 2 * areas.min()


def test_grade_1_is_observed_where_there_are_eyes_of_it():
    maps, grades = some_eyes()
    mild = [eye("left", MA=[(64, 90, 8)], EX=[(30, 64, 6)]) for _ in range(5)]  # one, larger than any other eye's
    observed = RealMaps(np.concatenate([maps, mild]), np.append(grades, [1] * 5), SIZE)
    planes = draw(observed, 1, count=20)
    areas = planes[:, MA].sum(dim=(1, 2)) * (SIDE // SIZE) ** 2
    assert (areas > 35).all() and (areas < 100).all()  # 64 pixels, scaled a little; an eye's only one is never left out
    assert planes[:, EX].sum() == 0
    few = RealMaps(np.concatenate([maps, mild[:4]]), np.append(grades, [1] * 4), SIZE)
    assert not few.mild_observed and (draw(few, 1, count=20)[:, MA].sum(dim=(1, 2)) * (SIDE // SIZE) ** 2 < 30).any()


def test_lesions_stay_on_their_side_of_the_disc(reals):
    planes = draw(reals, 2, count=40)
    columns = torch.arange(SIZE) - (SIZE - 1) / 2

    def centre(kind):
        return (planes[:, kind].sum(dim=1) * columns).sum(dim=1) / planes[:, kind].sum(dim=(1, 2)).clamp_min(1e-6)

    present = planes[:, EX].sum(dim=(1, 2)) > 1
    assert present.sum() > 30  # single lesions are left out now and then
    assert (centre(EX) * centre(OD) < 0)[present].all()
    assert 5 < int((centre(OD) < 0).sum()) < 35  # mirrored to both sides


def test_real_maps_depend_on_the_generator_alone(reals):
    assert torch.equal(draw(reals, 4, seed=3), draw(reals, 4, seed=3))
    assert not torch.equal(draw(reals, 4, seed=3), draw(reals, 4, seed=4))


def test_eyes_of_unknown_grade_are_sorted_by_haemorrhages():
    maps, grades = some_eyes()
    mild, severe = eye(HE=[(60, 90, 5)]), eye(HE=[(60, 90, 25)])
    reals = RealMaps(np.concatenate([maps, [mild, severe]]), np.append(grades, [-1, -1]), SIZE)
    assert [len(reals.eyes[grade]) for grade in (1, 2, 3, 4)] == [3, 2, 2, 1]


def test_maps_that_cannot_serve_are_refused():
    maps, grades = some_eyes()
    with pytest.raises(ValueError, match="no eye to make grades 4"):
        RealMaps(maps[:4], grades[:4], SIZE)
    with pytest.raises(ValueError, match="no optic disc"):
        RealMaps(np.where(maps == OD, VB, maps).astype(np.uint8), grades, SIZE)
    with pytest.raises(ValueError, match="averaged to side 48"):
        RealMaps(maps, grades, 48)


def test_soften_keeps_shares_and_spreads_edges():
    planes = torch.zeros(1, 7, 8, 8)
    planes[:, VB] = 1
    planes[:, VB, 4, 4], planes[:, MA, 4, 4] = 0, 1
    soft = soften(planes)
    assert torch.allclose(soft.sum(dim=1), torch.ones(1, 8, 8))
    assert soft[0, MA, 4, 4] == 0.25 and soft[0, MA, 3, 4] == 0.125 and soft[0, MA, 3, 3] == 0.0625
    assert soft[0, MA].sum() == 1


def test_judged_planes_tell_the_presence_of_small_lesions():
    planes = torch.zeros(2, 7, 256, 256)
    planes[:, VB] = 1
    planes[0, VB, 100, 100], planes[0, MA, 100, 100] = 0, 1
    judged = judged_planes(planes) / torch.tensor(PLANE_GAINS)[:, None, None]
    assert judged.shape == (2, 10, 256, 256)
    assert torch.allclose(judged[:, :5], soften(planes)[:, [EX, HE, SE, MA, OD]])
    assert judged[1, 5:].abs().max() == 0
    fine, by_class = judged[0, 5], judged[0, 6:]
    coarse = by_class[[EX, HE, SE, MA].index(MA)]
    assert int((fine > 0).sum()) == 64 and int((coarse > 0).sum()) == 64**2  # one cell each
    assert int((by_class > 0).sum()) == 64**2  # and of no other class
    assert fine[100, 100] == pytest.approx(np.log1p(30 / 64) / np.log1p(30), rel=1e-5)


def tiny_task(**training):
    task = MapsTask({**TINY, "training": {**TINY["training"], **training}}, prepared())
    task.load()
    return task


def test_generated_shares_lie_under_the_known_field():
    task = tiny_task()
    shares = task._shares(torch.randn(3, 7, SIZE, SIZE) * 5)
    assert torch.allclose(shares.sum(dim=1), torch.ones(3, SIZE, SIZE), atol=1e-5)
    assert torch.allclose(shares[:, BG], (1 - task.field[:, 0]).expand(3, -1, -1))
    assert shares[:, OD, 0, 0].max() == 0


def test_background_is_taught_without_moving_other_classes():
    task = tiny_task()
    logits = torch.zeros(1, 7, SIZE, SIZE, requires_grad=True)
    task._background_loss(logits).backward()
    assert logits.grad[:, BG + 1 :].abs().max() == 0
    assert logits.grad[0, BG, SIZE // 2, SIZE // 2] > 0 > logits.grad[0, BG, 0, 0]


def test_batches_spread_the_grades():
    batch = tiny_task().batch(torch.Generator().manual_seed(0))
    assert sorted(batch["grades"].tolist()) == [0, 1, 2, 3, 4]
    assert batch["maps"].shape == (5, 7, SIZE, SIZE)


def test_style_mixing_uses_both_latents():
    plain, mixed = tiny_task(), tiny_task(mixing=1.0)
    mixed.networks["generator"].load_state_dict(plain.networks["generator"].state_dict())
    grades = torch.arange(5)
    one, two = (task._generate(grades, torch.Generator().manual_seed(2)) for task in (plain, mixed))
    assert not torch.allclose(one, two)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps_module, "load_prepared", prepared)
        train(MapsTask, TINY, folder, steps=30, accelerator="cpu", progress=False)
    return folder


def prepared(folder=None, split="train"):
    assert split == "train"  # the held-out split is never trained on
    maps, grades = some_eyes()
    photos = np.zeros((*maps.shape, 3), np.uint8)
    return PreparedDataset(photos, maps, maps, grades, np.full((len(maps), 2), np.nan), tuple(map(str, grades)))


def test_training_learns_the_field_and_writes_a_sheet(trained):
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["background"] < 0.8 * lines[0]["background"]
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    assert {"r1", "generator", "discriminator", "share/MA_real", "share/MA_fake"} <= lines[-1].keys()
    assert Image.open(trained / "sheets" / "step-00000030.png").size == (10 * SIZE, 5 * SIZE)


def test_training_resumes_exactly(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(maps_module, "load_prepared", prepared)
    for steps in (4, 9, 30):
        train(MapsTask, TINY, tmp_path, steps=steps, resume=True, accelerator="cpu", progress=False)
    one, two = (read_state(latest_state(folder)).tensors for folder in (trained, tmp_path))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_export_ships_the_averaged_generator_without_data(trained, tmp_path, monkeypatch):
    def no_data(*_):
        raise AssertionError("exporting read the data")

    monkeypatch.setattr(maps_module, "load_prepared", no_data)
    (path,) = export_run(trained, tmp_path / "out")
    assert path.name == "maps.safetensors"
    module, facts = checkpoints.load(path, "maps")
    assert facts["steps"] == 30 and facts["grade_1"].startswith("microaneurysms alone")
    average = read_state(latest_state(trained)).part("average/generator")
    weight = average["blocks.1.conv1.weight"]
    assert torch.allclose(module.blocks[1].conv1.weight, weight, atol=2e-3)
    z = torch.randn(4096, 8, generator=torch.Generator().manual_seed(0))
    mean = module.mapping(z, torch.full((4096,), 3)).mean(dim=0)
    assert torch.allclose(module.w_mean[3], mean, atol=5e-3)


def test_a_generator_grows_finer_blocks_that_are_silent_at_first(trained, tmp_path):
    export_run(trained, tmp_path)
    small, _ = checkpoints.load(tmp_path / "maps.safetensors", "maps")
    config = {
        **TINY,
        "network": {**TINY["network"], "channels": [8, 8, 8, 8, 6], "lesion_blocks": 1},
        "discriminator": {"channels": [8, 8, 8]},
        "training": {**TINY["training"], "initial": str(tmp_path / "maps.safetensors")},
    }
    large = MapsTask(config).networks["generator"].eval()
    z, noise = large.random_inputs([3])
    grade = torch.tensor([4])
    expected = F.interpolate(small(z, grade, noise[:-1]), scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.equal(large(z, grade, noise), expected)
    config["network"]["w_dim"] = 12
    with pytest.raises(ValueError, match="w_dim"):
        MapsTask(config)


def test_a_discriminator_of_another_size_is_refused():
    with pytest.raises(ValueError, match="planes of side 64.*generator's side 32"):
        MapsTask({**TINY, "discriminator": {"channels": [8, 8, 8]}})


def test_shipped_configurations_fit_their_networks(monkeypatch):
    monkeypatch.chdir(CONFIGS.parent)
    default = load_config(CONFIGS / "default-maps.yaml")
    task = task_for(default)(default)
    assert isinstance(task, MapsTask) and task.networks["generator"].size == 256
    large = MapsTask(load_config(CONFIGS / "maps-512.yaml"))  # grown from the shipped weights
    assert large.networks["generator"].size == 512
    original = load_config(CONFIGS / "original-maps.yaml")
    expected = {**asdict(MapGeneratorConfig.original()), "output": "argmax"}
    assert original["network"] == json.loads(json.dumps(expected))
    assert maps_module.MapDiscriminatorConfig(**original["discriminator"]).size == 256
