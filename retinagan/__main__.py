"""``python -m retinagan``."""

import sys

from retinagan.cli import main

if __name__ == "__main__":
    sys.exit(main())
