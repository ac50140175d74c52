"""What agents can do: capabilities, each a word."""

from collections.abc import Iterable
from typing import Any

from stretto.errors import ConfigurationError


def skills(given: Iterable[Any], name: str) -> frozenset[str]:
    """Give capabilities as a set.

    Args:
        given: the capabilities.
        name: whose they are, for the message.

    Raises:
        ConfigurationError: they are one text, whose letters nobody means, or no texts.

    """
    words = tuple(given)
    if isinstance(given, str) or not all(isinstance(word, str) for word in words):
        raise ConfigurationError(
            f"the capabilities of agent '{name}' are a set of words, such as {{'analysis'}}, "
            f"not {given!r}"
        )
    return frozenset(words)
