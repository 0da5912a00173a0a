"""Lesion contrast: the measure finds what was painted."""

import numpy as np
import pytest

from retinagan.evaluation.contrast import ClassContrast, regions, summary
from retinagan.maps import labels


def painted():
    label_map = labels.empty_map(512, "left")
    label_map[200:210, 300:310] = labels.EX
    label_map[300:310, 300:310] = labels.HE
    label_map[380:390, 300:310] = labels.HE
    label_map[250:253, 350:353] = labels.MA
    green = np.full((512, 512), 100)
    green[label_map == labels.EX] = 160
    green[300:310, 300:310] = 60
    green[380:390, 300:310] = 120  # a haemorrhage that is wrongly bright
    green[label_map == labels.MA] = 80
    green[label_map == labels.OD] = 220
    photo = np.stack([np.zeros_like(green), green, np.zeros_like(green)], -1).astype(np.uint8)
    return label_map, photo


def test_contrast_of_each_region():
    found = {(r.index, r.area): r for r in regions(*painted()) if r.index != labels.HE}
    assert found[labels.EX, 100].contrast == 60 and found[labels.EX, 100].right
    assert found[labels.MA, 9].contrast == -20 and found[labels.MA, 9].right
    haemorrhages = [r for r in regions(*painted()) if r.index == labels.HE]
    assert [(r.contrast, r.right) for r in haemorrhages] == [(-40, True), (20, False)]


def test_summary_counts_regions_larger_than_asked():
    table = summary(regions(*painted()))
    assert "MA" not in table  # nine pixels
    assert table["HE"] == ClassContrast(regions=2, right=0.5, median_contrast=-10.0)
    assert table["EX"].right == table["OD"].right == 1.0
    assert summary(regions(*painted()), min_area=0)["MA"].right == 1.0


def test_no_contrast_is_not_right_and_rings_hold_plain_retina_only():
    label_map, photo = painted()
    flat = np.full_like(photo, 100)
    assert not any(r.right for r in regions(label_map, flat))
    label_map[180:230, 280:330] = labels.SE
    label_map[200:210, 300:310] = labels.EX  # surrounded by a soft exudate: no plain retina near
    assert labels.EX not in {r.index for r in regions(label_map, photo)}


def test_scale_follows_the_map():
    label_map, photo = painted()
    small = regions(label_map[::2, ::2].copy(), photo[::2, ::2].copy())
    assert {r.index: r.contrast for r in small}[labels.EX] == pytest.approx(60)
