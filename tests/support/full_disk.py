"""A recipe on a full disk.

python -m support.full_disk RECIPE [ARGUMENTS]
"""

import importlib
import resource
import signal
import sys

from nnzoo.errors import run_main

if __name__ == "__main__":
    _, name, *args = sys.argv
    main = importlib.import_module(f"nnzoo.recipes.{name}").main
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # no file can grow beyond: as a full disk
    run_main(lambda: main(args))
