"""Orchestration: a coordinator plans a task DAG, workers carry it out side by side."""

from aura_py.orchestration.orchestrator import Orchestrator

__all__ = ["Orchestrator"]
