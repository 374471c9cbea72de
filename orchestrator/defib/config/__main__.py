"""Write the generated parts of the documentation.

python -m defib.config schema             print the JSON Schema
python -m defib.config reference PAGE     print PAGE with its tables renewed
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from defib import registry
from defib.config.publishing import json_schema
from defib.config.reference import renew
from defib.registry import Registry


def main(arguments: list[str], load: Callable[[], Registry] = registry.load) -> int:
    match arguments:
        case ["schema"]:
            sys.stdout.write(json.dumps(json_schema(load()), indent=2, ensure_ascii=False) + "\n")
        case ["reference", page]:
            sys.stdout.write(renew(Path(page).read_text(encoding="utf-8"), load()))
        case _:
            sys.stderr.write(__doc__ or "")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
