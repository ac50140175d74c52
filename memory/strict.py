"""Saved values are read back as plain data only: a row that somebody tampered with runs no code."""

import os

# LangGraph reads this once, when it is first imported, and without it rebuilds any type that a row
# names by calling it. Setting it covers what LangGraph makes by itself; what this room opens is
# given `strict_serializer`, which holds even when LangGraph was imported before.
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer


def strict_serializer() -> JsonPlusSerializer:
    """Make the serializer that rebuilds only LangGraph's short list of safe types."""
    return JsonPlusSerializer(allowed_msgpack_modules=None)
