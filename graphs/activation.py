"""One entry into a region: a future for every step, filled as steps end, also before a crash."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp, GraphInterrupt
from langgraph.runtime import Runtime

from stretto.graphs.compat import (
    is_resuming,
    region_namespace,
    saver_of,
    saves_each_step,
    thread_of,
)
from stretto.graphs.ended import Outcome
from stretto.graphs.remains import Remains
from stretto.graphs.runtime import Frame
from stretto.graphs.state import CHANNELS, RunState


class Activation:
    """The steps of one region in one superstep, and what they know of each other."""

    def __init__(
        self,
        steps: Sequence[str],
        aliases: Mapping[str, str],
        frame: Frame,
        state: RunState,
        config: RunnableConfig,
        checkpoint_id: str | None,
    ) -> None:
        """Open a region for ``steps``; ``aliases`` maps ``output_to`` names to step ids."""
        loop = asyncio.get_running_loop()
        self.frame = frame
        self.state = state
        self.aliases = aliases
        self.round = state.get("round", 0)
        self.futures: dict[str, asyncio.Future[Outcome]] = {s: loop.create_future() for s in steps}
        self.halted: str | None = None
        """The step whose failure stops new steps from starting, if one did."""
        self.at_work: dict[str, Remains] = {}
        """How far the containers among the steps have come."""
        self.inside = 0
        self._to_end = len(self.futures)
        self.broken = False
        """Whether a node was cancelled or refused, so that the superstep is over."""
        self.forget: Callable[[], object] = _nothing
        """Closes this activation in its region."""
        self._saver = saver_of(config) if saves_each_step(config) else None
        self._where: RunnableConfig = {
            "configurable": {
                "thread_id": thread_of(config),
                "checkpoint_ns": region_namespace(config),
                "checkpoint_id": checkpoint_id,
            }
        }
        self._restored: asyncio.Future[None] | None = None
        self._fill(state)
        self.resumed = self._saver is not None and is_resuming(config)

    def __enter__(self) -> None:
        """Take part in this superstep."""
        self.inside += 1

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        """Leave; the last one out, or a cancelled or refused one, closes the activation."""
        self.inside -= 1
        if kind is not None and not issubclass(kind, GraphBubbleUp):
            self.broken = True
        if self.broken or self.finished:
            self.forget()

    async def restore(self) -> None:
        """Read back, once, what only the checkpointer knows: what was given and what had ended."""
        if not self.resumed and self.frame.complete is None:
            return
        if self._restored is None:
            self._restored = asyncio.ensure_future(self._read_back())
        await asyncio.shield(self._restored)

    async def _read_back(self) -> None:
        if self.frame.complete is not None:
            await self.frame.complete()
        if self.resumed:
            await self._read_pending()

    async def _read_pending(self) -> None:
        assert self._saver is not None
        saved = await self._saver.aget_tuple(self._where)
        pending = saved.pending_writes or [] if saved else []
        found: dict[str, dict[str, Any]] = {}
        for _, channel, value in pending:
            if channel in CHANNELS:
                found.setdefault(channel, {}).update(value)
        self._fill(cast(RunState, found))

    def _fill(self, saved: RunState) -> None:
        """Set the futures of steps whose records are saved."""
        scope = self.frame.scope
        scope.undo.update(saved.get("undo") or {})
        for step, record in (saved.get("records") or {}).items():
            future = self.futures.get(step)
            if future is None or future.done() or record.get("round", 0) != self.round:
                continue
            outcome = Outcome(
                record=record,
                output=(saved.get("outputs") or {}).get(step),
                reason=(saved.get("skipped") or {}).get(step),
                partial=(saved.get("partial") or {}).get(step),
            )
            future.set_result(outcome)
            self._to_end -= 1
            scope.order = max(scope.order, record.get("order", 0))
            if record.get("status") == "failed":
                scope.run["errors"] = scope.run.get("errors", 0) + 1
            if record.get("fatal"):
                self.halt(step)

    async def outcome(self, step: str) -> Outcome:
        """Wait until a step has ended.

        Raises:
            GraphInterrupt: it waits for a person, so whatever needs it does too.

        """
        return await self.futures[step]

    async def first_completed(self, steps: Iterable[str]) -> None:
        """Wait until one of the steps has completed or all have ended."""
        waiting = {self.futures[step] for step in steps}
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(not f.exception() and f.result().completed for f in done):
                return

    def ended(self, step: str) -> Outcome | None:
        """Give how a step ended, or None while it has not."""
        future = self.futures[step]
        if not future.done() or future.cancelled() or future.exception():
            return None
        return future.result()

    async def save(self, runtime: Runtime[Any], update: Mapping[str, Any]) -> None:
        """Make a step's writes durable before anything that needs them starts.

        LangGraph saves the same rows again when the node returns, in the background; saving them
        here first is what makes "a finished step never runs twice" true at every instant.
        """
        info = runtime.execution_info
        if self._saver is not None and info is not None:
            await self._saver.aput_writes(self._where, list(update.items()), info.task_id)

    def settle(self, step: str, outcome: Outcome) -> None:
        """Let everything that waits for a step go on."""
        self.frame.scope.undo.update(outcome.undo)
        future = self.futures[step]
        if not future.done():
            future.set_result(outcome)
            self._to_end -= 1

    def block(self, step: str) -> None:
        """Send everything that needs a step to wait for a person with it."""
        future = self.futures[step]
        if not future.done():
            self._to_end -= 1
            future.set_exception(GraphInterrupt(()))
            future.exception()  # marks it as seen: nobody may be waiting for it

    def halt(self, step: str) -> None:
        """Start no more steps, because this one's failure ends the region."""
        if self.halted is None:
            self.halted = step
            if self.frame.doom is not None:
                self.frame.doom()

    @property
    def stopping(self) -> str | None:
        """The step, here or around, whose failure stops new steps from starting, if one did."""
        around = self.frame.stopping
        return self.halted or (around() if around is not None else None)

    @property
    def finished(self) -> bool:
        """Whether every step has ended and nobody is inside any more."""
        return self.inside == 0 and self._to_end == 0


def _nothing() -> None:
    """Forget nothing: the activation belongs to no region."""
