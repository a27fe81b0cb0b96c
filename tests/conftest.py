"""Settings of every test."""

from hypothesis import settings

# A busy machine is no fault of the code: no example has a time limit of its own.
settings.register_profile("aura", deadline=None)
settings.load_profile("aura")
