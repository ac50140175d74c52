"""From a model's name to a chat model."""

import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from stretto.errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

DEFAULT_OPENAI_MODEL = "gpt-4.1-mini"
"""The model asked when there is a key and nobody named one."""
_POSSIBLE = (
    "'offline', 'openai:NAME', or with stretto[langchain] installed any name of init_chat_model"
)


def open_model(
    name: str | None = None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    timeout: float = 60.0,
    temperature: float | None = None,
    max_tokens: int | None = None,
) -> "BaseChatModel":
    """Open a chat model.

    Retries are off: steps have their own, and the two would multiply.

    Args:
        name: ``offline``, or ``offline:20`` for a word every 20 ms; ``openai:NAME`` for any
            OpenAI-compatible service; or a name that
            LangChain's ``init_chat_model`` knows. If None: ``STRETTO_MODEL``, else a small OpenAI
            model when there is a key, else ``offline``.
        api_key: the service's key; ``OPENAI_API_KEY`` if None.
        base_url: the service's address; ``OPENAI_BASE_URL`` if None.
        timeout: seconds without an answer before a call fails.
        temperature: how freely words are chosen; the service's default if None.
        max_tokens: the longest answer; the service's default if None.

    Raises:
        ConfigurationError: the key is missing, no model has this name, or ``base_url`` is no
            address.

    """
    key = api_key or os.environ.get("OPENAI_API_KEY")
    chosen = (name or os.environ.get("STRETTO_MODEL") or "").strip()
    chosen = chosen or (f"openai:{DEFAULT_OPENAI_MODEL}" if key else "offline")
    if chosen.partition(":")[0] == "offline":
        return _offline(chosen)
    limits = {"timeout": timeout, "temperature": temperature, "max_tokens": max_tokens}
    provider, _, model = chosen.partition(":")
    if provider == "openai":
        return _openai(chosen, model, key, base_url or os.environ.get("OPENAI_BASE_URL"), limits)
    return _langchain(chosen, {**limits, "api_key": api_key, "base_url": base_url})


def _offline(name: str) -> "BaseChatModel":
    from stretto.agents.models.offline import OfflineModel

    pace = name.partition(":")[2]
    if pace and not (pace.isdecimal() and int(pace) <= 1000):
        message = f"model '{name}': write the milliseconds between two words, as in 'offline:20'"
        raise ConfigurationError(message)
    return OfflineModel(pace=int(pace or 0) / 1000)


def _openai(
    name: str, model: str, key: str | None, base_url: str | None, limits: dict[str, Any]
) -> "BaseChatModel":
    if not model:
        raise ConfigurationError(f"model '{name}' has no name after 'openai:'")
    if not key:
        message = f"model '{name}' needs a key: set OPENAI_API_KEY, or use the model 'offline'"
        raise ConfigurationError(message)
    from pydantic import SecretStr

    from stretto.agents.models.client import bounded_client, check_address
    from stretto.agents.models.strict import StrictChatOpenAI

    if base_url:
        check_address(base_url)
    return StrictChatOpenAI(
        model=model,
        api_key=SecretStr(key),
        base_url=base_url or None,
        max_retries=0,
        stream_usage=True,
        stream_chunk_timeout=limits["timeout"],
        http_async_client=bounded_client(),
        openai_proxy="",  # the client above knows the proxy
        **limits,
    )


def _langchain(name: str, settings: dict[str, Any]) -> "BaseChatModel":
    if find_spec("langchain") is None:
        raise ConfigurationError(f"There is no model '{name}'; possible are {_POSSIBLE}.")
    init_chat_model = import_module("langchain.chat_models").init_chat_model
    given = {key: value for key, value in settings.items() if value is not None}
    try:
        return cast("BaseChatModel", init_chat_model(name, max_retries=0, **given))
    except (ValueError, ImportError) as error:
        message = f"There is no model '{name}': {error} Possible are {_POSSIBLE}."
        raise ConfigurationError(message) from error
