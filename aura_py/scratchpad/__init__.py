"""Large tool outputs live on disk; the model explores them."""

from aura_py.scratchpad.budget import Budget
from aura_py.scratchpad.retention import run_scratchpad, sweep
from aura_py.scratchpad.scratchpad import Scratchpad
from aura_py.scratchpad.thresholds import thresholds

__all__ = ["Budget", "Scratchpad", "run_scratchpad", "sweep", "thresholds"]
