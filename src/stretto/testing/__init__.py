"""What tests of workflows and agents need: scripted models, fake agents, a clock, recorded events.

The fixtures of ``stretto.testing.plugin`` are there in every pytest run. Names are loaded when they
are first used, so that runs that use none of them pay nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stretto.testing.agents import FakeAgent
    from stretto.testing.clock import FakeClock
    from stretto.testing.models import ModelCall, ScriptedModel
    from stretto.testing.recording import Recording, record_events
    from stretto.testing.script import ScriptError

__all__ = [
    "FakeAgent",
    "FakeClock",
    "ModelCall",
    "Recording",
    "ScriptError",
    "ScriptedModel",
    "record_events",
]
_HOMES = {
    "FakeAgent": "agents",
    "FakeClock": "clock",
    "ModelCall": "models",
    "Recording": "recording",
    "ScriptError": "script",
    "ScriptedModel": "models",
    "record_events": "recording",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its home the first time it is used."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'stretto.testing' has no attribute {name!r}")
    value = getattr(import_module(f"stretto.testing.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
