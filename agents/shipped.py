"""The agents that come with the package."""

from stretto.agents.agent import AgentLike


def shipped_agents(model: str | None = None) -> list[AgentLike]:
    """Make one of each shipped agent.

    Args:
        model: the model of those that ask one; see ``open_model``.

    """
    from stretto.agents.crm import crm_agents

    return [*crm_agents(model)]
