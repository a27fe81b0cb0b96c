"""Large tool outputs live on disk; the model explores them (``scratchpad.md``)."""

from aura_py.scratchpad.budget import Budget
from aura_py.scratchpad.retention import single_agent_directory, sweep
from aura_py.scratchpad.scratchpad import Scratchpad
from aura_py.scratchpad.thresholds import thresholds

__all__ = ["Budget", "Scratchpad", "single_agent_directory", "sweep", "thresholds"]
