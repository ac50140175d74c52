"""The settings of a deployment: environment, ``.env``, ``stretto.toml``, in this order."""

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from stretto.errors import ConfigurationError

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
SETTINGS_FILE = "stretto.toml"
ENV_FILE = ".env"
EVERY_MODEL = "*"


class ModelSettings(BaseModel):
    """How one chat model is reached, how often, and at what price; None leaves it open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str | None = None
    api_key: SecretStr | None = None
    """The key, or ``secret://NAME`` for that variable of the environment."""
    headers: dict[str, str] | None = Field(default=None, repr=False)
    """Sent with every call; ``secret://NAME`` inside a value is replaced by that variable."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds without an answer before a call fails."""
    temperature: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    requests_per_minute: int | None = Field(default=None, ge=1)
    max_concurrent_calls: int | None = Field(default=None, ge=1)
    usd_per_million_input: float | None = Field(default=None, ge=0)
    """The price of a million input tokens, for models that no price list knows."""
    usd_per_million_output: float | None = Field(default=None, ge=0)


class Settings(BaseSettings):
    """Everything a deployment can set; a value given in code wins over the environment.

    Environment names are the field names in capitals; ``model``, ``home`` and ``database_url``
    carry the prefix ``STRETTO_``. An empty variable counts as not set.
    """

    model_config = SettingsConfigDict(
        env_prefix="STRETTO_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    openai_api_key: SecretStr | None = Field(default=None, validation_alias="openai_api_key")
    openai_base_url: str | None = Field(default=None, validation_alias="openai_base_url")
    model: str | None = None
    """The chat model by name; None lets the key decide between OpenAI and ``offline``."""
    home: Path = Path(".stretto")
    """The folder of everything that is kept: runs, checkpoints, memory."""
    database_url: str | None = Field(default=None, repr=False)
    """Where runs are recorded; None is SQLite in ``home``."""
    qdrant_url: str | None = Field(default=None, validation_alias="qdrant_url", repr=False)
    qdrant_api_key: SecretStr | None = Field(default=None, validation_alias="qdrant_api_key")
    embedder: str | None = None
    """What finds memories by meaning, beside their words: ``openai:NAME``, ``dir:FOLDER``."""
    remember_runs: bool = False
    """Whether every run that has ended is remembered as an episode."""
    redis_url: str | None = Field(default=None, validation_alias="redis_url", repr=False)
    """The Redis through which processes share circuit breakers and the state of agents."""
    breaker_threshold: int = Field(default=5, ge=1)
    """Failures of an agent in a row after which it is left alone."""
    breaker_reset: float = Field(default=13.0, gt=0)
    """Seconds until one call is let through to see whether it works again."""
    sentry_dsn: str | None = Field(default=None, validation_alias="sentry_dsn", repr=False)
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None, validation_alias="otel_exporter_otlp_endpoint"
    )
    log_level: LogLevel = Field(default="INFO", validation_alias="log_level")
    environment: str = Field(default="development", validation_alias="environment")
    workflows: dict[str, dict[str, Any]] = Field(default_factory=dict[str, dict[str, Any]])
    """Default values by workflow id, from ``[stretto.workflows.NAME]``."""
    agents: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    """Agents to register, from ``[[agents]]``."""
    agent_plugins: tuple[str, ...] = ()
    """Entry points of the group ``stretto.agents`` that may be loaded, by their or package name."""
    source: Path = Path(SETTINGS_FILE)
    """The file that the settings were looked for in."""
    models: dict[str, ModelSettings] = Field(default_factory=dict[str, ModelSettings])
    """How chat models are called, by name, from ``[stretto.models."NAME"]``; ``*`` is for all."""

    def model_settings(self, name: str) -> ModelSettings:
        """Give the settings of one model; what it leaves open is taken from ``*``."""
        every, own = (self.models.get(key, ModelSettings()) for key in (EVERY_MODEL, name))
        return every.model_copy(update=own.model_dump(exclude_none=True))

    @field_validator("log_level", mode="before")
    @classmethod
    def _capitals(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value


class _LoadedSettings(Settings):
    """Settings whose init values come from the file, below the environment and ``.env``."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, dotenv_settings, init_settings


def load_settings(directory: Path | None = None) -> Settings:
    """Read the settings that hold in a directory.

    Args:
        directory: where ``.env`` and ``stretto.toml`` are looked for, and what a relative
            ``home`` is relative to; the working directory if None.

    Raises:
        ConfigurationError: a file cannot be read, a key is unknown, or a value does not fit.

    """
    root = directory or Path()
    path, env_file = root / SETTINGS_FILE, root / ENV_FILE
    text = _text_of(path)
    _text_of(env_file)
    values = _checked(_parsed(text, path), text, path)
    files: dict[str, Any] = {"_env_file": env_file, "_env_file_encoding": "utf-8"}
    try:
        loaded = _LoadedSettings(**files, **values)
    except SettingsError as error:
        raise ConfigurationError(f"environment or {env_file}: {error}") from None
    except ValidationError as error:
        raise ConfigurationError(_explained(error, text, path, env_file)) from None
    home = root / loaded.home.expanduser()
    return loaded.model_copy(update={"home": home, "source": path})


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{path} cannot be read: {reason}") from None


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None


def _checked(document: dict[str, Any], text: str, path: Path) -> dict[str, Any]:
    """Refuse unknown names, and give the field values that the file sets."""
    known = [name for name in Settings.model_fields if name not in ("agents", "source")]
    for key in document:
        if key not in ("stretto", "agents"):
            raise _unknown(key, ["stretto", "agents"], _line_of(text, "", key), path)
    section: Any = document.get("stretto", {})
    if not isinstance(section, dict):
        line = _line_of(text, "", "stretto")
        raise ConfigurationError(f"{path}{_at(line)}: write [stretto] as a section")
    values: dict[str, Any] = dict(section)  # pyright: ignore[reportUnknownArgumentType]
    for key in values:
        if key not in known:
            raise _unknown(key, known, _line_of(text, "stretto", key), path)
    return values | ({"agents": document["agents"]} if "agents" in document else {})


def _unknown(key: str, known: list[str], line: int | None, path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path}{_at(line)}: {_unknown_among(key, known)}")


def _unknown_among(key: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean '{nearest[0]}'? " if nearest else ""
    return f"unknown key '{key}'. {hint}Allowed: {', '.join(known)}"


def _explained(error: ValidationError, text: str, path: Path, env_file: Path) -> str:
    """Say where the first wrong value stands and what is allowed, never the value itself."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where, message = [str(part) for part in fault["loc"]], fault["msg"]
    place = _place_of(where, text, path, env_file)
    if fault["type"] == "extra_forbidden":
        return f"{place}: {_unknown_among(where[-1], list(ModelSettings.model_fields))}"
    what = message[:1].lower() + message[1:]
    return f"{place}: {'.'.join(where)}: {what}"


def _place_of(where: list[str], text: str, path: Path, env_file: Path) -> str:
    field = where[0].removeprefix("STRETTO_").lower()
    aliased = Settings.model_fields[field].validation_alias is not None
    variable = field if aliased else f"stretto_{field}"
    for place, held in (("environment", os.environ), (str(env_file), dotenv_values(env_file))):
        for name, value in held.items():
            if value and name.lower() == variable:
                return f"{place}, {name}"
    section, key = ("", field) if field == "agents" else ("stretto", field)
    if field in ("workflows", "models") and len(where) > 1:
        section, key = f"stretto.{field}", where[1]
    line = _line_of(text, f"{section}.{key}", where[2]) if len(where) > 2 else None
    return f"{path}{_at(line or _line_of(text, section, key))}"


def _at(line: int | None) -> str:
    return "" if line is None else f", line {line}"


def _line_of(text: str, section: str, key: str) -> int | None:
    """Find the line that sets ``key`` in ``section``, or that opens a section of that name."""
    inside = ""
    opened = f"{section}.{key}" if section else key
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line):
            inside = re.sub(r"[\s\"']", "", header[1])
            if inside == opened or inside.startswith(f"{opened}."):
                return number
        elif inside == section and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]", line):
            return number
    return None
