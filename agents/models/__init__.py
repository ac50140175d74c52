"""Chat models by name."""

from stretto.agents.models.opening import DEFAULT_OPENAI_MODEL, open_model

__all__ = ["DEFAULT_OPENAI_MODEL", "open_model"]
