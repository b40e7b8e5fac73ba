"""`python tests/power --rounds 50`: see `rounds`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from power.rounds import main

if __name__ == "__main__":
    sys.exit(main())
