"""``python -m defib_agent``."""

import sys

from defib_agent.cli import main

sys.exit(main())
