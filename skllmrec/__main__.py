"""The command line: `python -m skllmrec`, or `skllmrec` where the package is installed."""

import sys

from skllmrec._cli._main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
