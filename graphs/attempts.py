"""One call of an agent: choice, slot, breaker, deadline, retries by cause, cached results."""

import hashlib
import math
import re
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import tenacity
from langgraph.errors import GraphBubbleUp
from pydantic_core import to_json

from stretto.agents.agent import Emit, Notify, Task, discard
from stretto.agents.gate import ModelGate
from stretto.agents.registry import RegisteredAgent
from stretto.errors import BudgetExceeded, CircuitOpen, StepTimedOut
from stretto.graphs.backoff import wait_before_retry
from stretto.graphs.budgets import ask_for_more, check_budget
from stretto.graphs.causes import describe, is_retryable
from stretto.graphs.deadline import Overdue, Voice, before_deadline, run_agent
from stretto.graphs.jsonable import as_json, copied
from stretto.graphs.kept import Kept, keeping
from stretto.graphs.spec import OtherAgent, Retry

if TYPE_CHECKING:
    from stretto.graphs.call import StepCall

CACHE = "stretto", "results"  # the namespace in the host's cache
ANY_HOST = "http"
"""Who sends a request whose host is known only when it is sent."""
CacheKey = tuple[tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class Result:
    """What a step's work gave."""

    output: Any
    undo: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


@dataclass(slots=True)
class Attempts:
    """The attempts at one call, and who made the last one."""

    call: "StepCall"
    agents: tuple[RegisteredAgent, ...]
    task: Task

    async def run(self) -> Result:
        """Try until it succeeds or nothing is left to try.

        Raises:
            StepFailed: the last attempt's failure, or the agent's own exception.

        """
        key = self._key() if self._caches() else None
        cached = await self._look_up(key) if key else None
        if cached is not None:
            return cached
        while True:
            try:
                output = await self._attempts()
                break
            except BudgetExceeded as error:
                ask_for_more(self.call, error)
        if key:
            await self._remember(key, output)
        return Result(output)

    async def _attempts(self) -> Any:
        retry = self.call.plan.policy.retry
        if retry is None or retry.attempts == 1:
            return await self._attempt()
        return cast(Any, await self._retrying(retry)(self._attempt))

    def _retrying(self, retry: Retry) -> tenacity.AsyncRetrying:
        return tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(self._is_worth_retrying),
            stop=self._out_of_attempts,
            wait=lambda state: wait_before_retry(retry, state),
            before_sleep=self._announce,
            reraise=True,
        )

    def _is_worth_retrying(self, error: BaseException) -> bool:
        """Tell whether to try again; with another agent to fall back on, nobody waits for one."""
        other = isinstance(self.call.plan.policy.on_error, OtherAgent)
        return is_retryable(error) and not (other and isinstance(error, CircuitOpen))

    def _out_of_attempts(self, state: tenacity.RetryCallState) -> bool:
        retry = self.call.plan.policy.retry
        spent = retry is None or state.attempt_number >= retry.attempts
        return spent or not self.call.scope.take_retry()

    def _announce(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        code, message = describe(error) if error else ("", "")
        delay = round(state.upcoming_sleep, 3)
        told = self.call.told()
        self.call.emit("agent_retry", code=code, error_message=message, delay=delay, **told)

    async def _attempt(self) -> Any:
        call = self.call
        slot = await call.acquire(self.agents)
        try:
            agent = slot.agent
            assert agent is not None
            call.agent = agent.name
            call.begin()
            guarded, run = self._guarded(agent), call.services.breakers.run
            if not agent.stateful:
                return await run(guarded, partial(self._call_agent, agent))
            async with keeping(call, agent.name) as kept:
                return await run(guarded, partial(self._call_agent, agent, kept))
        finally:
            call.release(slot)

    def _guarded(self, agent: RegisteredAgent) -> str:
        """Name what a breaker guards: the agent, with the host that only this call knows."""
        url = self.task.params.get("url")
        if agent.name != ANY_HOST or self.call.plan.step.http is None or not isinstance(url, str):
            return agent.name
        return f"{agent.name}|{host_of(url)}"

    async def _call_agent(self, agent: RegisteredAgent, kept: Kept | None = None) -> Any:
        call, health = self.call, self.call.services.health
        check_budget(call.scope)
        limit, started = call.scope.time_left(call.plan.policy.timeout), time.monotonic()
        task = own_copy(self.task, call)
        if kept is not None:
            task = replace(task, state=kept.state)
        call.spent, call.facts_told = task.usage, task.facts
        try:
            given = await self._output(agent, task, limit)
            if kept is not None:
                kept.seal()
            output = as_json(given, agent.name)
        except (GraphBubbleUp, BudgetExceeded, CircuitOpen):  # it waits or is refused
            raise
        except Exception as error:
            health.failed(agent.name, *describe(error))
            raise
        finally:
            call.scope.end_spending(task.usage)
        health.succeeded(agent.name, time.monotonic() - started)
        return output

    async def _output(self, agent: RegisteredAgent, task: Task, limit: float | None) -> Any:
        if limit is None and not self.call.activation.frame.bounded:
            return await run_agent(agent, task)
        voice = Voice(task.publish, task.notify)
        work = run_agent(agent, replace(task, publish=voice.publish, notify=voice.notify))
        try:
            return await before_deadline(work, limit, agent.name)
        except Overdue:
            self.call.scope.time_left(None)  # says so if it is the run whose time is used up
            told = f"agent '{agent.name}' did not finish within {limit or 0:g} s"
            raise StepTimedOut(told, retryable=True) from None
        finally:
            voice.close()

    def _caches(self) -> bool:
        """Tell whether outputs are kept at all; for no time at all means not."""
        policy = self.call.plan.policy.cache
        return self.call.services.cache is not None and policy is not None and policy.ttl != 0

    def _key(self) -> CacheKey:
        task = self.task
        asked = [a.name for a in self.agents], task.action, task.params, task.input, task.inputs
        return CACHE, hashlib.sha256(to_json(asked)).hexdigest()

    async def _look_up(self, key: CacheKey) -> Result | None:
        cache = self.call.services.cache
        found = (await cache.aget([key])).get(key) if cache else None
        if found is None or time.time() >= found.get("until", math.inf):
            return None
        self.call.agent = found["agent"]
        self.call.begin(cached=True)
        return Result(found["output"])

    async def _remember(self, key: CacheKey, output: Any) -> None:
        cache, policy = self.call.services.cache, self.call.plan.policy.cache
        if cache is None or policy is None:
            return
        kept: dict[str, Any] = {"output": output, "agent": self.call.agent}
        whole = None
        if policy.ttl is not None:  # caches count whole seconds, so what is kept says it exactly
            kept["until"], whole = time.time() + policy.ttl, math.ceil(policy.ttl)
        await cache.aset({key: (kept, whole)})


def host_of(url: str) -> str:
    """Give the host of a URL with its port: what is between scheme and path, behind a secret."""
    return re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2].lower()


def own_copy(task: Task, call: "StepCall") -> Task:
    """Give an attempt data of its own: what an agent changes in it reaches nobody else."""
    inputs = copied(task.inputs)
    return replace(
        task,
        attempt=call.attempts,
        usage=call.scope.begin_spending(),
        publish=publisher(call) if call.attempts > 1 else task.publish,
        notify=notifier(call),
        gate=ModelGate(
            call.services.breakers, call.services.limits, partial(check_budget, call.scope)
        ),
        facts={},
        params=copied(task.params),
        inputs=inputs,
        input=inputs if task.input is task.inputs else copied(task.input),
        context=copied(task.context),
    )


def publisher(call: "StepCall") -> Emit:
    """Make the function through which an attempt publishes its tokens."""
    stream = call.plan.step.stream
    if stream == "none":
        return discard
    emit, path = call.scope.emit, call.path
    data: dict[str, Any] = {}

    def publish(text: str) -> None:
        if not data:  # most steps stream nothing, and who makes the call is known only by now
            data.update(call.facts, attempt=call.attempts, stream=stream)
        emit("agent_stream", path, {**data, "content": text})

    return publish


def notifier(call: "StepCall") -> Notify:
    """Make the function through which an attempt tells what is no text of its answer."""
    stream, attempt = call.plan.step.stream, call.attempts

    def notify(kind: str, data: dict[str, Any]) -> None:
        facts = {**call.facts, "attempt": attempt}
        if kind == "memory_degraded":
            call.scope.emit("memory_degraded", call.path, {**facts, **data})
        elif stream != "none":
            facts |= {"stream": stream, "kind": kind, "content": ""}
            call.scope.emit("agent_stream", call.path, {**facts, **data})

    return notify
