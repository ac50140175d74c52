"""Whether a model's answer is complete, and what it cost."""

from typing import TYPE_CHECKING, Any

from stretto.agents.models.toolcalls import refuse_broken_calls
from stretto.agents.usage import Usage
from stretto.errors import StepFailed

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

    from stretto.config import ModelSettings

_ENDINGS = ("finish_reason", "stop_reason", "done_reason")
"""Where providers say in a message's metadata why they stopped."""
_ALWAYS_SAY_WHY = frozenset({"openai", "azure_openai", "anthropic"})
"""Providers whose every complete answer says why it ended."""
_TOO_LONG = frozenset({"length", "max_tokens", "model_length", "max_output_tokens"})
_FILTERED = frozenset({"content_filter", "safety", "refusal", "prohibited_content", "blocklist"})


def usage_of(answer: "AIMessage", settings: "ModelSettings | None" = None) -> Usage:
    """Read what an answer cost, as far as it says so and prices are known.

    Args:
        answer: the answer.
        settings: the model's settings, where prices may stand.

    """
    from stretto.agents.models.prices import usd_of

    figures: Any = answer.usage_metadata
    if not figures:
        return Usage()
    facts: dict[str, Any] = answer.response_metadata
    free = facts.get("offline") is True or "recorded" in facts
    name, provider = str(facts.get("model_name") or ""), facts.get("model_provider")
    usd = None if free else usd_of(name, provider, figures, settings)
    return Usage(figures["input_tokens"], figures["output_tokens"], usd=usd or 0.0)


def is_offline(answer: "AIMessage") -> bool:
    """Tell whether an answer was made without a real model."""
    facts: dict[str, Any] = answer.response_metadata
    return facts.get("offline") is True


def refuse_incomplete(answer: "AIMessage") -> None:
    """Refuse an answer that is not whole: it would pass for a success.

    Raises:
        StepFailed: it was cut off (``truncated_answer``), filtered (``filtered_answer``), empty
            (``empty_answer``), or calls a tool with arguments that are no JSON (``bad_answer``).

    """
    facts: dict[str, Any] = answer.response_metadata
    ending = next((str(facts[key]).lower() for key in _ENDINGS if facts.get(key)), None)
    if ending in _TOO_LONG:
        message = "The model's answer reached the length limit; raise it or ask for less."
        raise StepFailed(message, code="truncated_answer", retryable=False)
    if ending in _FILTERED or answer.additional_kwargs.get("refusal"):
        message = "The model's provider withheld the answer; change what is asked."
        raise StepFailed(message, code="filtered_answer", retryable=False)
    if ending is None and facts.get("model_provider") in _ALWAYS_SAY_WHY:
        message = "The model's answer broke off before its end."
        raise StepFailed(message, code="truncated_answer", retryable=True)
    refuse_broken_calls(answer)
    if not (answer.text.strip() or answer.tool_calls):
        raise StepFailed("The model gave an empty answer.", code="empty_answer", retryable=True)
