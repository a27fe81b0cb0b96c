"""What OpenAI clients send, as the run's own vocabulary (``clients.md`` §3, ``http-api.md`` §9)."""

from aura_py.server.openai.chat_request import ChatCall, parse_chat

__all__ = ["ChatCall", "parse_chat"]
