"""Turns for others, however fast an agent streams."""

import asyncio


class Pace:
    """Lets others have their turn now and then, however fast an agent streams."""

    EVERY = 64

    def __init__(self) -> None:
        """Start counting."""
        self._pieces = 0

    async def step(self) -> None:
        """Count one piece of text; give the event loop a turn after so many."""
        self._pieces += 1
        if self._pieces % self.EVERY == 0:
            await asyncio.sleep(0)
