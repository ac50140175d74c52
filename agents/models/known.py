"""A chat model that is open, with what it is called and where it is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from stretto.agents.models import opening

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A chat model, its name, and the endpoint that serves it."""

    chat: "BaseChatModel"
    name: str
    endpoint: str = ""
    """The service's URL; empty for the provider's own or for none."""
    called: str = ""
    """How settings, limits and prices know it: ``openai:gpt-4.1``."""


def know_model(
    source: "str | BaseChatModel | partial[BaseChatModel] | None",
    open_model: "Callable[[str | None], BaseChatModel] | None" = None,
) -> KnownModel:
    """Open a model, unless it is open, and find out what it is called.

    Args:
        source: its name (see ``open_model``), a chat model, or a ``partial`` that opens one.
        open_model: opens a model by name; by the environment alone if None.

    Raises:
        ConfigurationError: no model has this name, or its key is missing.

    """
    if source is None or isinstance(source, str):
        chat = (open_model or opening.open_model)(source)
    else:
        chat = source() if isinstance(source, partial) else source
    name: Any = getattr(chat, "model_name", None) or getattr(chat, "model", None)
    endpoint: Any = getattr(chat, "openai_api_base", None) or getattr(chat, "base_url", None)
    name = str(name or type(chat).__name__)
    return KnownModel(chat, name, str(endpoint or ""), _called(source, chat, name))


def _called(source: Any, chat: Any, name: str) -> str:
    metadata: dict[str, Any] = getattr(chat, "metadata", None) or {}
    if kept := metadata.get(opening.CALLED):
        return str(kept)
    named = isinstance(source, str) and source.strip()
    return opening.chosen_model(source) if named else name
