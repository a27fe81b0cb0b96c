"""What OpenAI clients send, as the run's own vocabulary."""

from aura_py.server.openai.chat_request import ChatCall, parse_chat

__all__ = ["ChatCall", "parse_chat"]
