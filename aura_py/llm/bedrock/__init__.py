"""Amazon Bedrock's Converse API."""

from aura_py.llm.bedrock.client import CAPABILITIES, build

__all__ = ["CAPABILITIES", "build"]
