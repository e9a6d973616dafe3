"""Remove a folder when whoever started us ends, however that happens.

    python -I -S janitor.py FOLDER

It waits for the end of its standard input, which the kernel closes with the other side.
"""

import shutil
import sys
import time
from pathlib import Path

_TRIES = 20
_PAUSE_SECONDS = 0.1  # children that die at the same moment may still write


def main(argv: list[str]) -> int:
    """Wait, remove, and return 0 when the folder is gone."""
    folder = Path(argv[1])
    sys.stdin.read()
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return 0
        time.sleep(_PAUSE_SECONDS)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
