"""The agents that come with the package."""

from typing import TYPE_CHECKING

from stretto.agents.agent import Agent, AgentLike

if TYPE_CHECKING:
    from stretto.agents.llm import ModelSource


def shipped_agents(model: "ModelSource" = None) -> list[AgentLike]:
    """Make one of each shipped agent.

    Args:
        model: the model of those that ask one; see ``open_model``.

    """
    from stretto.agents.crm import crm_agents
    from stretto.agents.recall.agent import MemoryAgent

    agents: list[Agent] = [*crm_agents(model), MemoryAgent()]
    return [*agents]
