"""Ten sessions at once on an app that has just started; `make test-large` does it for a minute."""

from __future__ import annotations

import numpy as np

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


def test_a_download_waits_for_its_browser_while_others_go_on(tiny_address, tiny_pipeline):
    """Streamlit alone drops the file at the second end of a run, whoever's it is."""
    one, other = (Client(tiny_address, f"start=left&style={style}", patience=120) for style in (5, 6))
    for client in (one, other):
        client.open()
    url = one.press()
    for client in (one, other) * 2:
        client.look()
    label_map, photograph = one.fetch(url)
    assert np.array_equal(photograph, tiny_pipeline.render(label_map[None], [5])[0])
    for client in (one, other):
        client.close()
