"""Runs: the engine that starts them, the agents that are served, and what belongs to the process."""
