"""`python -m aura_py` is `aura`."""

import sys

from aura_py.cli import main

if __name__ == "__main__":  # processes that read documents import this module again
    sys.exit(main())
