"""Ten sessions at once on an app that has just started; `make test-large` does it for a minute."""

from __future__ import annotations

import numpy as np
import pytest

from tests.browser.clients import Client
from tests.browser.conftest import LOG, running_app
from tests.browser.sessions import draw_together, wrong_pictures

COUNT, STROKES = 10, 2


def test_sessions_at_once_do_not_meet(tiny_folder, tiny_pipeline, tmp_path):
    started = []
    with running_app(tiny_folder, tmp_path, started) as address:
        found = draw_together(address, started[0], COUNT, lambda strokes, _: strokes < STROKES)
    assert found.errors == []
    assert found.strokes == COUNT * STROKES and len(found.pictures) == COUNT
    assert wrong_pictures(found, tiny_pipeline) == []
    assert len({label_map.tobytes() for *_, label_map, _ in found.pictures}) == COUNT
    assert "unexpected error" not in (tmp_path / LOG).read_text(errors="replace")


@pytest.mark.parametrize("page", ["draw", "random"])
def test_a_download_waits_for_its_browser_while_others_go_on(tiny_address, tiny_pipeline, page):
    """Streamlit alone drops a file that a press made at the second end of a run, whoever's it is."""
    one = Client(tiny_address, {"draw": "start=left&style=5", "random": "grade=2&seed=5"}[page], 120, page)
    other = Client(tiny_address, "start=left&style=6", 120)
    for client in (one, other):
        client.open()
    url = one.press()
    for _ in range(4):
        other.look()
    label_map, photograph = one.fetch(url)
    assert np.array_equal(photograph, tiny_pipeline.render(label_map[None], [5])[0])
    for client in (one, other):
        client.close()


def test_a_download_of_draw_is_not_lost_when_its_page_goes_on(tiny_address, tiny_pipeline):
    """While a photograph is in the making, its part of the page runs five times a second."""
    client = Client(tiny_address, "start=left&style=5", 120)
    client.open()
    addresses = {client.press()}
    for _ in range(4):
        client.look()
        addresses.add(client.press())
    (url,) = addresses
    label_map, photograph = client.fetch(url)
    assert np.array_equal(photograph, tiny_pipeline.render(label_map[None], [5])[0])
    client.close()
