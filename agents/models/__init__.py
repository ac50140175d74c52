"""Chat models by name."""

from stretto.agents.models.opening import (
    DEFAULT_OPENAI_MODEL,
    chosen_model,
    open_configured,
    open_model,
)

__all__ = ["DEFAULT_OPENAI_MODEL", "chosen_model", "open_configured", "open_model"]
