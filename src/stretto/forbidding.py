"""A ban on calls of real models, for tests that must not cost or depend on anything."""

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

from stretto.errors import ConfigurationError

FORBID = "STRETTO_FORBID_MODEL_CALLS"
"""The environment variable of the ban; empty and ``0`` mean that there is none."""


MODELS = "stretto.testing.ScriptedModel, 'recorded:FILE' or 'offline'"
"""What tests use in place of the chat models of services."""


def check_allowed(
    name: str, base_url: str | None, what: str = "model", instead: str = MODELS
) -> None:
    """Refuse to open the model of a real service while that is forbidden.

    Args:
        name: the model's name, for the message.
        base_url: the service's address; one on this machine is allowed.
        what: what it is, for the message.
        instead: what tests use in its place, for the message.

    Raises:
        ConfigurationError: it is forbidden.

    """
    if is_allowed(base_url):
        return
    raise ConfigurationError(
        f"{what} '{name}' is of a real service, and {FORBID} forbids those in tests; use"
        f" {instead}, or mark the test with @pytest.mark.allow_model_calls"
    )


def is_allowed(base_url: str | None) -> bool:
    """Tell whether a service at this address may be called: one on this machine always may."""
    return os.environ.get(FORBID, "0") in ("", "0") or _is_here(base_url)


def _is_here(base_url: str | None) -> bool:
    """Tell whether an address leads back to this machine."""
    try:
        host = urlsplit(base_url or "").hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
