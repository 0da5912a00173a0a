"""A redraw makes what a full render makes, whatever is drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retinagan.maps.labels import BG, EX, HE, MA, OD, SE, VB, empty_map
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.pipeline import RetinaGAN
from retinagan.redraw import Redraw
from tests.helpers import tiny_map_generator

SIDE = 512


@pytest.fixture(scope="module")
def model():
    return RetinaGAN.from_pretrained()


@pytest.fixture(scope="module")
def drawn(model):
    return model.sample_maps(3, [7])[0]


def disc(centre, radius):
    y, x = np.mgrid[:SIDE, :SIDE]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def agrees(model, photo, label_map, style):
    full = model.render(label_map[None], [style])[0]
    difference = np.abs(photo.astype(int) - full)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


strokes = st.tuples(
    st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1)),
    st.integers(1, 30),
    st.sampled_from([EX, HE, SE, MA, VB, OD]),
)


@settings(max_examples=8, deadline=None)
@given(st.lists(strokes, min_size=1, max_size=3), st.booleans(), st.integers(0, 3))
def test_strokes_anywhere(model, drawn, painted, mirrored, style):
    label_map = drawn[:, ::-1].copy() if mirrored else drawn.copy()
    redraw = Redraw(model, style)
    redraw.update(label_map)
    for centre, radius, kind in painted:
        label_map[disc(centre, radius) & (label_map != BG)] = kind
        photo = redraw.update(label_map)
    agrees(model, photo, label_map, style)


def edge(label_map):
    """Of the field: its leftmost pixel."""
    columns = np.flatnonzero((label_map != BG).any(0))
    return int(np.flatnonzero(label_map[:, columns[0]] != BG).mean()), int(columns[0])


def test_at_the_rim_over_the_disc_and_without_a_class(model, drawn):
    redraw, label_map = Redraw(model, 1), drawn.copy()
    redraw.update(label_map)
    ys, xs = np.nonzero(drawn == OD)
    for change in (
        disc(edge(drawn), 20),
        disc((ys.mean(), xs.mean()), 8),  # the disc becomes smaller: another eye
        disc((ys.min(), xs.min()), 12),
    ):
        label_map[change & (label_map != BG)] = HE
        agrees(model, redraw.update(label_map), label_map, 1)
    for kind in (HE, MA, EX):
        label_map[label_map == kind] = VB
        agrees(model, redraw.update(label_map), label_map, 1)
    mirrored = label_map[:, ::-1].copy()
    agrees(model, redraw.update(mirrored), mirrored, 1)
    assert np.array_equal(redraw.update(mirrored), redraw.update(mirrored.copy()))


def test_what_a_lesion_changes_lies_around_it(model):
    """The same eye with other lesions is the same to the byte beyond the reach of the blocks that see them."""
    healthy = empty_map(SIDE)
    ill = healthy.copy()
    ill[disc((300, 300), 10)] = HE
    before, after = model.render(np.stack([healthy, ill]), [4, 4])
    config = model.photo_generator.config
    reach = config.lesion_reach + int(np.ceil(model.lesion_margin))
    changed = (before != after).any(-1)
    assert changed[disc((300, 300), 8)].mean() > 0.9
    assert not changed[~disc((300, 300), 10 + 2**0.5 * reach)].any()
    assert config.lesion_reach <= 40


def test_one_stroke_computes_a_window_alone(model, drawn, monkeypatch):
    redraw = Redraw(model, 2)
    redraw.update(drawn)
    seen = []
    fine = model.photo_generator.fine
    monkeypatch.setattr(
        model.photo_generator, "fine", lambda x, onehot, *rest: seen.append(onehot.shape) or fine(x, onehot, *rest)
    )
    monkeypatch.setattr(model.photo_generator, "coarse", lambda *_: pytest.fail("the coarse blocks are kept"))
    label_map = drawn.copy()
    label_map[disc((256, 200), 6) & (drawn == VB)] = MA
    redraw.update(label_map)
    assert len(seen) == 1 and max(seen[0][2:]) <= 200
    redraw.update(label_map)
    assert len(seen) == 1  # nothing changed


def test_a_wrong_map_is_refused_and_changes_nothing(model, drawn):
    redraw = Redraw(model, 2)
    photo = redraw.update(drawn)
    with pytest.raises(ValueError, match="class 9"):
        redraw.update(np.full((SIDE, SIDE), 9, np.uint8))
    with pytest.raises(ValueError, match=r"renders \(N, 512, 512\)"):
        redraw.update(drawn[:256])
    photo[:] = 0  # the caller's own
    agrees(model, redraw.update(drawn), drawn, 2)


def test_a_model_without_an_eye_renders_as_ever():
    network = PhotoGeneratorConfig(size=64, channels=(8, 8), spade_hidden=(4, 4), guidance="none", output="sigmoid")
    model = RetinaGAN(tiny_map_generator(), PhotoGenerator(network))
    redraw = Redraw(model, 3)
    label_map = empty_map(64)
    for kind in (VB, HE):
        label_map[30:34, 30:34] = kind
        assert np.array_equal(redraw.update(label_map), model.render(label_map[None], [3])[0])
