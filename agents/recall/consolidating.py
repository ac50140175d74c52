"""A model that sums up what is remembered, and finds what contradicts itself."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from stretto.agents.llm import LLMAgent
from stretto.agents.recall.forms import harmless
from stretto.agents.task import Task

if TYPE_CHECKING:
    from stretto.agents.agent import OpenModel

AT_ONCE = 40_000
"""Characters that a model sums up at once: some 10,000 tokens, for which all have room."""
LONGEST_SUM = AT_ONCE // 8
"""Characters that are taken of a sum which is summed up again."""
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

    async def sum_up(texts: Sequence[str]) -> str:
        answer = await agent.run(Task(params={"episodes": [harmless(text) for text in texts]}))
        return str(answer["text"])

    async def summarize(texts: Sequence[str]) -> str:
        portions = _portions(texts)
        while len(portions) > 1:  # sums of sums, each time a few for many
            sums = [(await sum_up(portion))[:LONGEST_SUM] for portion in portions]
            portions = _portions(sums)
        return await sum_up(portions[0])

    return summarize


def _portions(texts: Sequence[str]) -> list[list[str]]:
    """Cut texts into lists that a model has room for, in their order."""
    portions: list[list[str]] = [[]]
    room = AT_ONCE
    for text in texts:
        for start in range(0, len(text), AT_ONCE):
            piece = text[start : start + AT_ONCE]
            if len(piece) > room:
                portions.append([])
                room = AT_ONCE
            portions[-1].append(piece)
            room -= len(piece)
    return portions


async def contradiction_finder(open_model: "OpenModel") -> Callable[[str, str], Awaitable[bool]]:
    """Open the model that compares facts; see ``summarizer``."""
    agent = LLMAgent("contradictions", "memory_contradiction", output=DECISION)
    await agent.prepare(open_model)

    async def contradict(older: str, newer: str) -> bool:
        params = {"older": harmless(older), "newer": harmless(newer)}
        return (await agent.run(Task(params=params)))["contradicts"] is True

    return contradict
