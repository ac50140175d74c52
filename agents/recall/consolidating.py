"""A model that sums up what is remembered, and finds what contradicts itself."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from stretto.agents.llm import LLMAgent
from stretto.agents.recall.forms import harmless
from stretto.agents.task import Task

if TYPE_CHECKING:
    from stretto.agents.agent import OpenModel

DECISION = {
    "title": "Decision",
    "type": "object",
    "properties": {"contradicts": {"type": "boolean"}},
    "required": ["contradicts"],
}


def is_offline(open_model: "OpenModel") -> bool:
    """Tell whether the usual model is the offline one, which has no opinions."""
    return type(open_model(None)).__name__ == "OfflineModel"


async def summarizer(open_model: "OpenModel") -> Callable[[Sequence[str]], Awaitable[str]]:
    """Open the model that sums episodes up.

    Args:
        open_model: opens chat models by name; None is the usual one.

    Raises:
        ConfigurationError: there is no such model, or its key is missing.

    """
    agent = LLMAgent("summarizer", "memory_summary")
    await agent.prepare(open_model)

    async def summarize(texts: Sequence[str]) -> str:
        answer = await agent.run(Task(params={"episodes": [harmless(text) for text in texts]}))
        return str(answer["text"])

    return summarize


async def contradiction_finder(open_model: "OpenModel") -> Callable[[str, str], Awaitable[bool]]:
    """Open the model that compares facts; see ``summarizer``."""
    agent = LLMAgent("contradictions", "memory_contradiction", output=DECISION)
    await agent.prepare(open_model)

    async def contradict(older: str, newer: str) -> bool:
        params = {"older": harmless(older), "newer": harmless(newer)}
        return (await agent.run(Task(params=params)))["contradicts"] is True

    return contradict
