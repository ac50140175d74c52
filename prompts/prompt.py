"""A prompt: a mustache text, the values that it needs, and where it comes from."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from langchain_core.utils import mustache

from stretto.errors import ConfigurationError
from stretto.prompts.front_matter import ModelHints, listed
from stretto.prompts.template import Token, blanks, tokens_of


class _JsonDict(dict[str, Any]):
    """A mapping that reads as JSON where a prompt names it as a whole."""

    _CHEVRON_return_scope_when_falsy = True  # else an empty one would be no text at all

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False, default=str)


class _JsonList(list[Any]):
    """A list that reads as JSON where a prompt names it as a whole."""

    _CHEVRON_return_scope_when_falsy = True  # else an empty one would be no text at all

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False, default=str)


def _readable(value: Any) -> Any:
    if isinstance(value, Mapping):
        mapping = cast(Mapping[str, Any], value)
        return _JsonDict({str(key): _readable(item) for key, item in mapping.items()})
    if isinstance(value, list | tuple):
        return _JsonList(_readable(item) for item in cast(Iterable[Any], value))
    return value


@dataclass(frozen=True)
class Prompt:
    """A text for a model, with places for values."""

    name: str
    version: str
    values: tuple[str, ...]
    """The names that ``render`` must be given, no more and no fewer."""
    text: str
    """The mustache template, with its includes in their places."""
    description: str = ""
    about: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    """What each value is; empty where the file does not say."""
    model: ModelHints = ModelHints()
    includes: tuple[str, ...] = ()
    """The prompts whose texts stand in this one, in their order."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the template with its includes, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def facts(self) -> dict[str, str]:
        """Give what a run records of its prompts: ``name``, ``version`` and ``hash``."""
        return {"name": self.name, "version": self.version, "hash": self.digest}

    def render(self, **values: Any) -> str:
        """Put values in.

        Text goes in as it is, without HTML escapes; mappings and lists go in as JSON unless a
        section of the template walks through them. Text inside values is never read as a template.

        Args:
            values: one for each name in ``values``.

        Raises:
            ConfigurationError: a value is missing, one is given that the prompt does not use, or
                the template names a key that a value does not have.

        """
        missing = [name for name in self.values if name not in values]
        unused = sorted(set(values) - set(self.values))
        if missing or unused:
            parts = [f"needs {listed(missing)}"] if missing else []
            parts += [f"does not use {listed(unused)}"] if unused else []
            known = f"; its values are {listed(self.values)}" if self.values else ""
            raise ConfigurationError(f"prompt '{self.name}' {' and '.join(parts)}{known}")
        try:
            return self._rendered(values)
        except RecursionError:
            message = f"prompt '{self.name}' or one of its values is nested too deeply"
            raise ConfigurationError(message) from None

    def _rendered(self, values: Mapping[str, Any]) -> str:
        data = {name: _readable(value) for name, value in values.items()}
        if empty := list(dict.fromkeys(blanks(self._tokens, [data]))):
            message = f"prompt '{self.name}' needs {', '.join(empty)}, which its values do not have"
            raise ConfigurationError(message)
        return mustache.render(self._tokens, data).strip()

    @cached_property
    def _tokens(self) -> list[Token]:
        return tokens_of(self.name, self.text)
