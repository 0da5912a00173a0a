"""Ten sessions at once, for some seconds; `make test-large` does it for a minute with the shipped model."""

from __future__ import annotations

from tests.browser.conftest import LOG, running_app
from tests.browser.sessions import check, draw_together

COUNT, SECONDS = 10, 8


def test_sessions_at_once_do_not_meet(browser, tiny_folder, tiny_pipeline, tmp_path):
    started = []
    with running_app(tiny_folder, tmp_path, started) as address:
        found = draw_together(browser, address, started[0], COUNT, SECONDS)
    assert found.strokes >= COUNT and len(found.pictures) == COUNT
    check(found, tiny_pipeline)
    assert found.growth < 100
    assert "unexpected error" not in (tmp_path / LOG).read_text(errors="replace")
