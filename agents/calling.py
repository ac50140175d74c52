"""Calling an agent, whatever it is written as: coroutine, plain function or async generator."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from stretto.agents.agent import FunctionAgent, Task
from stretto.agents.threads import in_thread
from stretto.errors import ConfigurationError


def entry_point(target: Any, action: str | None) -> Callable[[Task], Any]:
    """Find what to call on an agent for an action.

    Args:
        target: the agent.
        action: the step's action, or None.

    Raises:
        ConfigurationError: the agent has neither that method nor ``run`` nor ``execute``.

    """
    if isinstance(target, FunctionAgent):
        return target.function
    public = action if action and action.isidentifier() and not action.startswith("_") else None
    for name in (public, "run", "execute"):
        method: Callable[[Task], Any] | None = getattr(target, name, None) if name else None
        if method is not None and callable(method) and name not in _NOT_ACTIONS:
            return method
    offered = type(target).__name__
    wanted = f"'{action}', " if action else ""
    raise ConfigurationError(f"agent {offered} has no method {wanted}'run' or 'execute' to call")


_NOT_ACTIONS = frozenset({"name", "capabilities", "max_concurrent_tasks", "killable", "stateful"})


async def call(target: Any, task: Task) -> Any:
    """Run one call of an agent to its end and give its output.

    Args:
        target: the agent.
        task: what it is given.

    """
    function = entry_point(target, task.action)
    style = style_of(function)
    if style == "coroutine":
        return await function(task)
    if style == "generator":
        return await _drain(function(task), task)
    loop = asyncio.get_running_loop()

    def publish(text: str) -> None:
        loop.call_soon_threadsafe(partial(task.publish, text))

    result = await in_thread(function, replace(task, publish=publish))
    if inspect.isasyncgen(result):
        return await _drain(result, task)
    return await result if inspect.isawaitable(result) else result


def style_of(function: Callable[..., Any]) -> str:
    """Tell what calling a function gives: ``coroutine``, ``generator``, or ``plain`` values."""
    return _style(getattr(function, "__func__", function))


@lru_cache(maxsize=1024)
def _style(function: Callable[..., Any]) -> str:
    """Tell what calling a function gives; looking it up is dearer than many a call."""
    if inspect.isasyncgenfunction(function):
        return "generator"
    return "coroutine" if inspect.iscoroutinefunction(function) else "plain"


async def _drain(items: AsyncIterator[Any], task: Task) -> Any:
    """Stream the text items; the output is the last other item, else all text joined."""
    text: list[str] = []
    output: Any = None
    async for item in items:
        if isinstance(item, str):
            text.append(item)
            await task.emit(item)
        else:
            output = item
    return "".join(text) if output is None else output
