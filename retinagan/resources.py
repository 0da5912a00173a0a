"""Where the files lie that come with the code: weights, configurations, pictures, the app's entry.

The wheel carries them inside the package, in ``_shipped``; in a checkout they lie at its top. Below :data:`ROOT` both
look alike.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def _root() -> Path:
    package = Path(str(files("retinagan")))
    installed = package / "_shipped"
    return installed if installed.is_dir() else package.parent


ROOT = _root()
CONFIGS = ROOT / "configs"
ASSETS = ROOT / "assets"
DEFAULT_MODEL = ROOT / "checkpoints" / "default"
APP_ENTRY = ROOT / "web_demo.py"


def app_page(name: str) -> str:
    """The file of a page of the app. It is absolute, as Streamlit looks for relative ones beside the entry alone."""
    return str(Path(str(files("retinagan"))) / "app" / f"page_{name}.py")


def model_folder(path: str | Path) -> Path:
    """``path``; or, where there is no such folder, the shipped one of that name, such as ``checkpoints/default``."""
    folder = Path(path)
    return ROOT / folder if not folder.is_dir() and (ROOT / folder).is_dir() else folder
