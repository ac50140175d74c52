"""What the calls of a model cost."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stretto.config import ModelSettings

FREE = frozenset({"offline", "recorded"})
"""Models that cost nothing."""
_MILLION = 1_000_000
_PROVIDERS = {
    "anthropic_bedrock": "aws",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "bedrock_mantle_anthropic": "aws",
}
"""How the price list calls those of LangChain's providers that it would take for another one."""


def usd_of(
    model_name: str,
    provider: str | None,
    usage: Mapping[str, Any],
    settings: "ModelSettings | None" = None,
) -> float | None:
    """Give what a call cost, in USD; None if nobody knows.

    The prices are those that came with the installed genai-prices; nothing is looked up on a
    network.

    Args:
        model_name: the name in the answer's metadata, or the one that ``chosen_model`` gives.
        provider: LangChain's name of the provider; if None, what stands before the colon.
        usage: the ``usage_metadata`` of the answer; in the price list, what was read from or
            written to a cache has prices of its own.
        settings: the model's settings; prices in them come first. They make no difference between
            cached and other input, and one that is left out is 0.

    """
    own = _own_price(usage, settings)
    if own is not None:
        return own
    named, _, rest = model_name.partition(":")
    if named in FREE:
        return 0.0
    if provider is None and rest:
        provider, model_name = named, rest
    return _listed_price(model_name, provider, usage)


def _own_price(usage: Mapping[str, Any], settings: "ModelSettings | None") -> float | None:
    if settings is None:
        return None
    prices = settings.usd_per_million_input, settings.usd_per_million_output
    if prices == (None, None):
        return None
    tokens: tuple[int, int] = usage["input_tokens"], usage["output_tokens"]
    spent = (count * (price or 0.0) for count, price in zip(tokens, prices, strict=True))
    return sum(spent) / _MILLION


def _listed_price(model: str, provider: str | None, usage: Mapping[str, Any]) -> float | None:
    if provider is None:
        return None
    from genai_prices import Usage, calc_price

    told: Mapping[str, int] = usage.get("input_token_details") or {}
    used = Usage(
        input_tokens=usage["input_tokens"],
        output_tokens=usage["output_tokens"],
        cache_read_tokens=told.get("cache_read") or None,
        cache_write_tokens=told.get("cache_creation") or None,
    )
    try:
        price = calc_price(used, model, provider_id=_PROVIDERS.get(provider, provider))
    except (LookupError, ValueError):
        return None  # no such provider or model, or figures that contradict each other
    return float(price.total_price)
