"""The app's pages run without a browser; the fixtures that go with it are in conftest.py."""

from __future__ import annotations

import io

from PIL import Image
from streamlit.testing.v1 import AppTest

from retinagan.resources import app_page
from tests.paths import ROOT


def new_app(timeout: float = 60) -> AppTest:
    """The app, not yet run, on the model folder of ``RETINAGAN_MODEL``."""
    return AppTest.from_file(str(ROOT / "web_demo.py"), default_timeout=timeout)


def on(app: AppTest, page: str, **link: str) -> AppTest:
    """Open a page as a link does; the app has to have run once before it knows its pages."""
    app.query_params["grade"] = "0"
    app.run()
    app.query_params.clear()
    for name, value in link.items():
        app.query_params[name] = value
    app.switch_page(app_page(page))
    return app.run()


def errors(app: AppTest) -> list[str]:
    """The messages in its error boxes; no exception may have reached the page."""
    assert not app.exception, "an exception reached the page"
    return [box.value for box in app.error]


def upload(app: AppTest, content: bytes, name: str = "map.png") -> AppTest:
    """Give a file to the page's uploader."""
    app.file_uploader[0].set_value((name, content, "image/png"))
    return app.run()


def grey_png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 255).save(buffer, "PNG")
    return buffer.getvalue()


def labels(app: AppTest) -> list[str]:
    """Of the buttons that give no file."""
    return [button.label for button in app.button]
