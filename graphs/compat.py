"""The few names of LangGraph that are not public, in one place; its test fails when they change."""

from collections.abc import Mapping
from typing import Any, TypeGuard

from langchain_core.runnables import RunnableConfig
from langgraph._internal._constants import (
    CONFIG_KEY_CHECKPOINTER,
    CONFIG_KEY_DURABILITY,
    CONFIG_KEY_RESUMING,
    NS_SEP,
)
from langgraph.checkpoint.base import BaseCheckpointSaver


def _configurable(config: RunnableConfig) -> Mapping[str, Any]:
    return config.get("configurable", {})


def saver_of(config: RunnableConfig) -> "BaseCheckpointSaver[Any] | None":
    """Give the checkpointer that the running graph saves to, or None."""
    saver = _configurable(config).get(CONFIG_KEY_CHECKPOINTER)
    return saver if _is_saver(saver) else None


def _is_saver(value: object) -> "TypeGuard[BaseCheckpointSaver[Any]]":
    return isinstance(value, BaseCheckpointSaver)


def saves_each_step(config: RunnableConfig) -> bool:
    """Tell whether finished steps are saved while the superstep still runs."""
    return _configurable(config).get(CONFIG_KEY_DURABILITY) != "exit"


def is_resuming(config: RunnableConfig) -> bool:
    """Tell whether this superstep was entered before, in a run that then stopped."""
    return bool(_configurable(config).get(CONFIG_KEY_RESUMING))


def region_namespace(config: RunnableConfig) -> str:
    """Give the checkpoint namespace of the graph that the running node belongs to."""
    namespace: str = _configurable(config).get("checkpoint_ns", "")
    return NS_SEP.join(namespace.split(NS_SEP)[:-1])


def thread_of(config: RunnableConfig) -> str | None:
    """Give the thread that the run is saved under, or None without a checkpointer."""
    return _configurable(config).get("thread_id")
