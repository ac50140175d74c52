"""The agents of a command: those that are shipped, and the user's own Python."""

import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from stretto.errors import ConfigurationError

if TYPE_CHECKING:
    from stretto.agents.registry import AgentRegistry
    from stretto.config import Settings

DECLARING = (".yaml", ".yml", ".json", ".toml")
"""How files end that declare agents."""
NEIGHBOUR = "agents.py"
"""The file that is loaded without being named when it is next to the workflow's file."""


@dataclass(frozen=True, slots=True)
class Crew:
    """The user's own agents, and what a later command needs to find them again."""

    agents: tuple[Any, ...] = ()
    named: tuple[str, ...] = field(default=())
    """What to give as ``--agents`` from the working directory."""


def load_crew(named: Sequence[str], folder: Path | None) -> Crew:
    """Load the user's agents.

    Args:
        named: modules by dotted name, ``.py`` files, and files that declare agents.
        folder: where ``agents.py`` is loaded from if it is there; None for nowhere.

    Raises:
        ConfigurationError: one cannot be imported, or there is no agent in it.

    """
    agents: list[Any] = [Path(name) for name in named if Path(name).suffix in DECLARING]
    again = list(named)
    named = [name for name in named if Path(name).suffix not in DECLARING]
    files = [Path(name).resolve() for name in named if _is_file(name)]
    for name in named:
        module = _import_file(Path(name)) if _is_file(name) else _import_module(name)
        agents += _own_agents(module, name)
    neighbour = folder / NEIGHBOUR if folder is not None else None
    if neighbour is not None and neighbour.is_file() and neighbour.resolve() not in files:
        agents += _own_agents(_import_file(neighbour), str(neighbour))
        if neighbour.resolve().parent != Path.cwd():
            again.append(str(neighbour))
    return Crew(tuple({id(agent): agent for agent in agents}.values()), tuple(again))


def make_registry(crew: Crew, settings: "Settings | None", model: str | None) -> "AgentRegistry":
    """Register the user's agents, declared ones, and the shipped ones whose names are still free.

    Args:
        crew: the user's agents.
        settings: what a deployment declares.
        model: the chat model of agents that name none.

    Raises:
        ConfigurationError: two of the user's agents have one name.

    """
    from stretto.agents.registry import AgentRegistry
    from stretto.agents.roster import fill_registry

    registry = AgentRegistry()
    fill_registry(registry, crew.agents, settings, model)
    return registry


def _is_file(name: str) -> bool:
    return name.endswith(".py") or len(Path(name).parts) > 1


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path} with agents")
    _reach(path.resolve().parent)
    name = f"stretto_user_{path.stem}_{abs(hash(path.resolve()))}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} is no Python file; name it with .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(str(path), str(path.resolve()), error) from error
    return module


def _import_module(name: str) -> ModuleType:
    _reach(Path.cwd())
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        found = importlib.util.find_spec(name.partition(".")[0])
        raise _failed(name, (found.origin if found else None) or "", error) from error


def _reach(folder: Path) -> None:
    """Let agents import what is beside them, without hiding anything that is installed."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _failed(name: str, file: str, error: BaseException) -> ConfigurationError:
    """Say in one line what went wrong, and where in the user's own code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)]
    own = [frame for frame in frames if frame.filename == file]
    place = f" (line {own[-1].lineno})" if own else ""
    if isinstance(error, SyntaxError) and error.lineno:
        place = f" ({Path(error.filename or name).name}, line {error.lineno})"
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return ConfigurationError(
        f"cannot import the agents in {name}{place}: {type(error).__name__}: {text}"
    )


def _own_agents(module: ModuleType, name: str) -> list[Any]:
    """List the agents a module defines: instances, decorated functions, classes without either."""
    found = list(_instances(module))
    classes = [cls for cls in _classes(module) if not any(isinstance(one, cls) for one in found)]
    leaves = [c for c in classes if not any(o is not c and issubclass(o, c) for o in classes)]
    for cls in leaves:
        try:
            inspect.signature(cls).bind()
        except TypeError:
            message = f"agent class {cls.__name__} in {name} needs arguments; put an instance there"
            raise ConfigurationError(message) from None
        found.append(cls)
    if not found:
        raise ConfigurationError(f"{name} defines no agent; decorate a function with @agent")
    return found


def _instances(module: ModuleType) -> Iterator[Any]:
    from stretto.agents.agent import Agent, FunctionAgent

    for name, value in vars(module).items():
        if name.startswith("_") or not isinstance(value, Agent):
            continue
        home = value.function.__module__ if isinstance(value, FunctionAgent) else module.__name__
        if home == module.__name__:
            yield value


def _classes(module: ModuleType) -> Iterator[type[Any]]:
    from stretto.agents.agent import Agent

    for name, value in vars(module).items():
        own = inspect.isclass(value) and value.__module__ == module.__name__
        if own and issubclass(value, Agent) and not name.startswith("_"):
            yield value
