"""Where tests find the repository, their own data, and what lies beside a developer's checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
CONFIGS = ROOT / "configs"
SHARED = ROOT.parent / "shared"
