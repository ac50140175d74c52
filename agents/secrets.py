"""Secrets are written as references, and filled in last."""

import os
import re
from collections.abc import Callable

from stretto.errors import ConfigurationError

SECRET = re.compile(r"secret://([A-Za-z_][A-Za-z0-9_]*)")


def fill_secrets(value: str, resolve_secret: Callable[[str], str] | None = None) -> str:
    """Replace every ``secret://NAME`` in a header's value or a key by that secret.

    Args:
        value: the text; it stays as it is when it refers to none.
        resolve_secret: gives a secret by name or raises KeyError; the environment if None.

    Raises:
        ConfigurationError: a secret is not set, or holds what no header may carry.

    """
    resolve = resolve_secret or os.environ.__getitem__

    def secret(found: re.Match[str]) -> str:
        name = found[1]
        try:
            text = resolve(name)
        except KeyError:
            text = ""
        if not text:
            raise ConfigurationError(f"the secret {name} is not set; set it in the environment")
        if not (text.isascii() and text.isprintable()):
            raise ConfigurationError(f"the secret {name} holds characters no header may carry")
        return text

    return SECRET.sub(secret, value)
