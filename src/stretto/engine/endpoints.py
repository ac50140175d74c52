"""Whether somebody listens where the models of a workflow are, before it is started."""

import asyncio
from collections.abc import Iterable

from stretto.agents.agent import PreparedAgent
from stretto.agents.models.reachable import why_unreachable
from stretto.agents.registry import RegisteredAgent
from stretto.errors import ConfigurationError


class Endpoints:
    """The endpoints that could be reached from here; each is tried until it could be once."""

    def __init__(self) -> None:
        """Know none yet."""
        self._reached: set[str] = set()

    async def check(self, required: Iterable[tuple[RegisteredAgent, ...]]) -> None:
        """Try every endpoint that is not known yet, all at the same time.

        Args:
            required: who has to be there, as groups of which one agent is enough.

        Raises:
            ConfigurationError: nobody of a group can reach a model.

        """
        groups = [tuple(map(_endpoints, group)) for group in required]
        every = {url for group in groups for urls in group for url in urls if url}
        new = sorted(every - self._reached)
        if not new:
            return
        reasons = dict(zip(new, await asyncio.gather(*map(why_unreachable, new)), strict=True))
        self._reached |= {url for url, reason in reasons.items() if reason is None}
        for group in groups:
            told = [[reasons.get(url) if url else None for url in urls] for urls in group]
            if all(reasons and all(reasons) for reasons in told):
                raise ConfigurationError(str(told[0][0]))


def _endpoints(agent: RegisteredAgent) -> tuple[str, ...]:
    target = agent.target
    return target.endpoints if isinstance(target, PreparedAgent) else ()
