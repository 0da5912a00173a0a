"""Pictures of every page at three widths, light and dark: ``python -m tests.browser.screenshots OUT [PAGE …]``.

For looking at: nothing is compared. It starts the app on the shipped model, or takes ``--address`` of a running one.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from retinagan.pipeline import DEFAULT_MODEL
from tests.browser.conftest import ARGUMENTS, running_app
from tests.browser.studio import Studio

WIDTHS = (400, 1024, 1920)
THEMES = ("light", "dark")
VIEWS = {
    "random": "?seed=7",
    "random-one": "?grade=3&seed=7",
    "random-many": "?grade=3&seed=7&maps=3",
    "enlarged": "?grade=3&seed=7",
    "draw": "draw?start=g3-s7",
    "styles": "styles?map_seed=7&keep=11",
    "styles-reference": "styles?mode=Reference",
    "styles-two-styles": "styles?mode=Two+styles&map_seed=7",
    "styles-two-maps": "styles?mode=Two+maps&map_seed=7",
    "progression": "progression?map_seed=7",
    "upload": "upload",
    "template": "template",
    "about": "about",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("views", nargs="*", help=f"of {', '.join(VIEWS)} (default: all)")
    parser.add_argument("--address", help="of an app that runs already")
    parser.add_argument("--widths", type=int, nargs="*", default=WIDTHS)
    parser.add_argument("--themes", nargs="*", default=THEMES)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    app = contextlib.nullcontext(options.address) if options.address else running_app(DEFAULT_MODEL, options.out)
    from playwright.sync_api import sync_playwright

    with app as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for view in options.views or VIEWS:
            for theme in options.themes:
                context = browser.new_context(viewport={"width": 1024, "height": 900}, color_scheme=theme)
                page = context.new_page()
                page.set_default_timeout(90_000)
                for width in prepared(Studio(page, address), view, options.widths):
                    path = options.out / f"{view}-{width}-{theme}.png"
                    page.screenshot(path=path)
                    print(path)
                context.close()
        browser.close()


def prepared(studio: Studio, view: str, widths: list[int]) -> Iterator[int]:
    """The page ready for its picture, at one width after another, as high as its content."""
    page = studio.page
    studio.open(VIEWS[view])
    if view == "enlarged":
        page.locator("[class*=st-key-zoom_] [data-testid=stButton] button").first.click()
        page.get_by_role("dialog").wait_for()
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(600)
        studio.idle()
        height = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": width, "height": min(max(height, 700), 4000)})
        page.wait_for_timeout(500)
        yield width


if __name__ == "__main__":
    main()
