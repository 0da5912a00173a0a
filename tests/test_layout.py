"""The order of the rooms and the size of the files; the contracts are in pyproject.toml, `[tool.importlinter]`."""

from __future__ import annotations

import pytest

from tests.paths import ROOT

MAX_LINES = 400


def test_imports_keep_the_order_of_the_rooms(capsys):
    linter = pytest.importorskip("importlinter.cli", reason="import-linter is not installed")
    status = linter.lint_imports(
        config_filename=str(ROOT / "pyproject.toml"), cache_dir=None, no_cache=True, no_logo=True
    )
    assert status == 0, capsys.readouterr().out


def test_no_file_is_long():
    files = [path for room in ("retinagan", "tests", "tools") for path in (ROOT / room).rglob("*.*")]
    lines = {
        str(path.relative_to(ROOT)): path.read_text("utf-8").count("\n")
        for path in files
        if path.suffix in (".py", ".js", ".css")
    }
    assert len(lines) > 200
    assert not {name: count for name, count in lines.items() if count > MAX_LINES}
