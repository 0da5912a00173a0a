"""A command that must fail."""

from retinagan.cli import main


def fails(capsys, *argv) -> str:
    """Run a command that must fail with exit code 2 and one line on stderr; returns the line."""
    try:
        code = main([str(a) for a in argv])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert code == 2 and captured.out == ""
    assert captured.err.startswith("retinagan: error: ") and captured.err.count("\n") == 1, captured.err
    return captured.err
