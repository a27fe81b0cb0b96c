"""`python -m aura_py` is `aura`."""

import sys

from aura_py.cli import main

sys.exit(main())
