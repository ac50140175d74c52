"""Secrets of requests: filled into headers last, and taken out again of whatever comes back."""

import os
import re
from collections.abc import Callable
from typing import Any, TypeGuard

from stretto.errors import ConfigurationError

SECRET = re.compile(r"secret://([A-Za-z_][A-Za-z0-9_]*)")
"""A reference to a secret by its name."""
SHORTEST_HIDDEN = 6
"""Shorter values are no secrets worth the name, and may stand in any text by chance."""
Resolve = Callable[[str], str]
"""Gives a secret by its name, or raises KeyError."""


class Secrets:
    """The secrets of one request."""

    def __init__(self, resolve: Resolve | None = None) -> None:
        """Look secrets up by ``resolve``; in the environment if None."""
        self._resolve = resolve or os.environ.__getitem__
        self._references: dict[str, str] = {}

    def fill(self, text: str) -> str:
        """Replace every reference in a text by its secret.

        Raises:
            ConfigurationError: a secret is missing or cannot stand in a header.

        """
        return SECRET.sub(self._secret, text)

    def _secret(self, found: re.Match[str]) -> str:
        name = found[1]
        try:
            text = self._resolve(name)
        except KeyError:
            text = ""
        if not text:
            raise ConfigurationError(f"the secret {name} is not set; set it in the environment")
        if not (text.isascii() and text.isprintable()):
            raise ConfigurationError(f"the secret {name} holds characters no header may carry")
        if len(text) >= SHORTEST_HIDDEN:
            self._references[text] = found[0]
        return text

    def hide(self, value: Any) -> Any:
        """Put the references back where data repeats a secret, in keys too."""
        if not self._references:
            return value
        if isinstance(value, str):
            # The longest first: what is left of it behind a shorter one would be seen.
            for secret in sorted(self._references, key=len, reverse=True):
                value = value.replace(secret, self._references[secret])
            return value
        if _is_dict(value):
            return {self.hide(key): self.hide(item) for key, item in value.items()}
        return [self.hide(item) for item in value] if _is_list(value) else value


def _is_dict(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
