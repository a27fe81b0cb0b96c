"""Encoders: a run's events as server-sent events."""

from aura_py.server.sse.chat import ChatEncoder
from aura_py.server.sse.shape import EventChannel, StreamShape

__all__ = ["ChatEncoder", "EventChannel", "StreamShape"]
