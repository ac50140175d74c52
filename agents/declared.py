"""Agents that a file declares: ``[[agents]]`` of the settings, or a list in YAML, JSON or TOML."""

import importlib
import inspect
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import yaml

from stretto.errors import ConfigurationError

KINDS = {
    "llm": "stretto.agents.llm:LLMAgent",
    "http": "stretto.agents.service:HttpAgent",
    "human": "stretto.agents.human:HumanAgent",
}
"""Agents that need no code of one's own; any other type is ``package.module:name``."""
KEYS = ("name", "type", "capabilities", "max_concurrent_tasks", "config")
ALIASES = {
    "id": "name",
    "agent_id": "name",
    "agent_type": "type",
    "max_tasks": "max_concurrent_tasks",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One agent as a file declares it."""

    type: str
    name: str | None = None
    capabilities: tuple[str, ...] | None = None
    max_concurrent_tasks: int | None = None
    config: dict[str, Any] = field(default_factory=dict[str, Any])
    """Keyword arguments of its class."""
    folder: Path = Path()
    """Where its modules and files are looked for: beside the file that declares it."""


def read_declarations(entries: Any, source: str, folder: Path) -> list[Declaration]:
    """Read a list of agents.

    Args:
        entries: mappings with ``name``, ``type``, ``capabilities``, ``max_concurrent_tasks`` and
            ``config``.
        source: what to call the file in a message.
        folder: where the file is.

    Raises:
        ConfigurationError: an entry is no mapping, has an unknown key, or lacks its type.

    """
    if not isinstance(entries, list):
        raise ConfigurationError(f"{source}: 'agents' is a list of agents")
    listed: list[Any] = [*entries]  # pyright: ignore[reportUnknownArgumentType]
    numbered = enumerate(listed)
    return [_declaration(entry, f"{source}: agents[{i}]", folder) for i, entry in numbered]


def load_declarations(path: Path) -> list[Declaration]:
    """Read a file that declares agents: YAML, JSON or TOML with a list ``agents``.

    Raises:
        ConfigurationError: it cannot be read, or declares no agents.

    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            document: Any = tomllib.loads(text)
        else:  # JSON is YAML too
            document = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        # A ValueError is text that is no UTF-8, TOML of a wrong form, or a date that is none.
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"{path}: the agents in it cannot be read: {reason}") from error
    if not isinstance(document, Mapping) or "agents" not in document:
        raise ConfigurationError(f"{path} declares no agents; give it a list 'agents'")
    return read_declarations(cast(Any, document)["agents"], str(path), path.parent)


def _declaration(entry: Any, where: str, folder: Path) -> Declaration:
    if not isinstance(entry, Mapping):
        raise ConfigurationError(f"{where} is no mapping; write 'name', 'type' and 'config'")
    values: dict[str, Any] = {}
    for key, value in cast(Mapping[str, Any], entry).items():
        name = ALIASES.get(key, key)
        if name not in KEYS:
            near = get_close_matches(str(key), KEYS, 1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            message = f"{where}: unknown key '{key}'.{hint} Allowed: {', '.join(KEYS)}"
            raise ConfigurationError(message)
        values[name] = value
    wanted: dict[str, Any] = {"type": str, "name": str, "config": dict, "max_concurrent_tasks": int}
    for key, kind in wanted.items():
        if key in values and not isinstance(values[key], kind):
            raise ConfigurationError(f"{where}: '{key}' is {_KIND_WORDS[kind]}")
    if "type" not in values:
        message = f"{where}: 'type' is missing; it is {', '.join(KINDS)} or package.module:name"
        raise ConfigurationError(message)
    if "capabilities" in values:
        values["capabilities"] = _texts(values["capabilities"], where)
    return Declaration(**values, folder=folder)


_KIND_WORDS = {str: "a text", dict: "a mapping", int: "a whole number"}


def _texts(value: Any, where: str) -> tuple[str, ...]:
    listed = cast(Iterable[Any], value) if isinstance(value, list | tuple | set) else None
    texts = None if listed is None else tuple(listed)
    if texts is None or not all(isinstance(text, str) for text in texts):
        raise ConfigurationError(f"{where}: 'capabilities' is a list of words")
    return texts


def make_agent(declared: Declaration, model: Any = None) -> tuple[Any, dict[str, Any]]:
    """Give what is registered for an agent that is declared.

    Args:
        declared: what the file says.
        model: the chat model of agents that ask one and name none.

    Returns:
        An agent of one of the ``KINDS``; or what its type names, and keyword arguments for it.

    Raises:
        ConfigurationError: its type cannot be imported, or takes other arguments.

    """
    target, name = find_type(declared.type, declared.folder), declared.name or declared.type
    if declared.type not in KINDS:
        return _checked(target, name, dict(declared.config))
    config = {"name": name, **declared.config}
    if declared.type == "llm":
        from stretto.agents.llm.declared import llm_arguments

        config = llm_arguments(config, name, declared.folder, model)
    try:
        return target(**config), {}
    except TypeError as error:
        raise ConfigurationError(f"agent '{name}' cannot be made of its config: {error}") from error


def resolve(target: Any, name: str, config: Mapping[str, Any] | None) -> tuple[Any, dict[str, Any]]:
    """Give what is registered for an agent that a program names or has.

    Args:
        target: a class; a type as files name it; or an instance or function.
        name: what the agent is called.
        config: keyword arguments of the class.

    Raises:
        ConfigurationError: there is no such type, or it takes other arguments.

    """
    if isinstance(target, str):
        return make_agent(Declaration(target, name, config=dict(config or {})))
    return _checked(target, name, dict(config or {}))


def _checked(target: Any, name: str, config: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    if config and not isinstance(target, type):
        raise ConfigurationError(f"agent '{name}': 'config' is for a class, and this is none")
    try:
        if config:
            inspect.signature(target).bind(**config)
    except TypeError as error:
        raise ConfigurationError(f"agent '{name}' cannot be made of its config: {error}") from error
    return target, config


def find_type(name: str, folder: Path | None = None) -> Any:
    """Import what a type names.

    Args:
        name: one of ``KINDS``, or ``package.module:name``.
        folder: also looked in for modules.

    Raises:
        ConfigurationError: there is no such kind, module or name in it.

    """
    path = KINDS.get(name, name)
    module, separator, attribute = path.partition(":")
    if not separator:
        near = get_close_matches(name, KINDS, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ConfigurationError(
            f"there is no kind of agent '{name}'.{hint} Use {', '.join(KINDS)}, or name your own "
            "as package.module:name"
        )
    if folder is not None and (at := str(folder.resolve())) not in sys.path:
        sys.path.append(at)
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(f"{name} cannot be imported: {error}") from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise ConfigurationError(f"module {module} has no '{attribute}'")
    return found
