"""Every file under a final name can be read to its end."""

from __future__ import annotations

import io
import json
from pathlib import Path

from PIL import Image
from safetensors import safe_open


def whole(folder: Path) -> set[str]:
    """The names in a folder and those below it, each file read to its end."""
    assert not list(folder.rglob(".*.partial"))
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        check(path)
    return {str(path.relative_to(folder)) for path in files}


def check(path: Path) -> None:
    if path.suffix == ".png":
        Image.open(io.BytesIO(path.read_bytes())).load()
    elif path.suffix == ".safetensors":
        with safe_open(path, framework="np") as file:
            [file.get_tensor(key) for key in file.keys()]
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".csv":
        assert path.read_text().endswith("\n")
