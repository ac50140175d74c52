"""What holds where a command is given: settings, the environment of agents, the engine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from stretto.cli.report import Shape
from stretto.errors import InputInvalid

if TYPE_CHECKING:
    from stretto.agents.registry import AgentRegistry
    from stretto.config import Settings
    from stretto.engine.engine import Engine

EXPORTED = ("openai_api_key", "openai_base_url")


def read_settings(home: str | None = None) -> "Settings":
    """Read the settings, and let agents find keys from ``.env`` and ``stretto.toml``.

    Args:
        home: the folder of all that is kept, instead of the configured one.

    Raises:
        ConfigurationError: they are wrong.

    """
    from dotenv import load_dotenv

    from stretto.config import ENV_FILE, load_settings

    settings = load_settings()
    load_dotenv(Path(ENV_FILE), override=False)
    if settings.openai_api_key is not None:
        os.environ.setdefault("OPENAI_API_KEY", settings.openai_api_key.get_secret_value())
    if settings.openai_base_url is not None:
        os.environ.setdefault("OPENAI_BASE_URL", settings.openai_base_url)
    return settings.model_copy(update={"home": Path(home).expanduser()}) if home else settings


def make_engine(settings: "Settings", registry: "AgentRegistry | None" = None) -> "Engine":
    """Make an engine that is not opened yet.

    Args:
        settings: what holds here.
        registry: who does the work; nobody if None.

    """
    from stretto.agents.registry import AgentRegistry
    from stretto.engine.engine import Engine

    agents = AgentRegistry() if registry is None else registry
    return Engine(agents, home=settings.home, settings=settings)


def shape_of(as_json: bool, as_events: bool) -> Shape:
    """Choose the form of stdout.

    Raises:
        InputInvalid: both forms are asked for.

    """
    if as_json and as_events:
        raise InputInvalid("give --json or --events, not both")
    if as_json:
        return "json"
    return "events" if as_events else "people"
