"""Settings of every test."""

import os

from hypothesis import settings

# A busy machine is no fault of the code: no example has a time limit of its own. The examples are the same in every
# run, so that a change is judged by what it changed; `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("aura", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "aura"))
