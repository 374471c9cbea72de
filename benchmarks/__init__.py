"""What Defib costs and how fast it is, measured on the real program: ``python -m benchmarks``."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The tests' kit has the victims, mail servers and the company that the figures need; it is no installed package.
sys.path.insert(0, str(ROOT / "tests" / "support"))

# What is started is what users start: with compiled modules, not compiled anew each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
