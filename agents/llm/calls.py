"""Each call of a model in a conversation: allowed, guarded, counted; another model steps in."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.structured_output import StructuredOutputError
from langchain_core.messages import AIMessage

from stretto.agents.agent import Task
from stretto.agents.llm.answer import refuse_incomplete, usage_of
from stretto.agents.models.failures import model_failures
from stretto.agents.models.known import KnownModel
from stretto.agents.usage import Usage
from stretto.errors import StepFailed

Request = ModelRequest[Any]
Response = ModelResponse[Any]
Handler = Callable[[Request], Awaitable[Response]]


class UnfitAnswer(Exception):
    """The model answered, but not in the form that was asked for."""

    def __init__(self, answer: AIMessage, reason: str) -> None:
        """Keep what it answered and what is wrong with it."""
        super().__init__(reason)
        self.answer = answer
        self.reason = reason


class ModelCalls(AgentMiddleware[Any, Any, Any]):
    """Makes every call of a conversation: at the first model that answers."""

    def __init__(
        self, agent: str, models: Sequence[KnownModel], most: int, hints: Mapping[str, Any]
    ) -> None:
        """Ask ``models`` in their order, at most ``most`` times for one task.

        Args:
            agent: who asks.
            models: whom it asks.
            most: calls for one task.
            hints: what the prompt wants of a model: ``temperature``, ``max_tokens``.

        """
        super().__init__()
        self._agent = agent
        self._models = tuple(models)
        self._most = most
        self._hints = dict(hints)

    async def awrap_model_call(self, request: Request, handler: Handler) -> Response:
        """Make one call, of the next model where one cannot be reached.

        Raises:
            UnfitAnswer: the answer does not have the form that was asked for.
            StepFailed: no model gave a whole answer, or the task has made too many calls.
            BudgetExceeded: the run has spent what it may.

        """
        task: Task = request.runtime.context
        for model in self._models[:-1]:
            try:
                return await self._call(task, model, request, handler)
            except StepFailed as error:
                if not error.retryable:
                    raise
                task.notify("reset", {"reason": "fallback", "code": error.code})
        return await self._call(task, self._models[-1], request, handler)

    async def _call(
        self, task: Task, model: KnownModel, request: Request, handler: Handler
    ) -> Response:
        if task.usage.calls >= self._most:
            raise StepFailed(
                f"agent '{self._agent}' asked its model {self._most} times without coming to an "
                "end; raise max_model_calls or give it clearer tools",
                code="too_many_model_calls",
            )

        async def call() -> Response | StructuredOutputError:
            task.usage.add(Usage(calls=1))
            try:
                with model_failures(model.chat):
                    response = await handler(
                        request.override(model=model.chat, model_settings=self._hints)
                    )
            except StructuredOutputError as error:  # the model did answer
                self._take(task, model, error.ai_message)
                return error
            self._take(task, model, _message(response))
            return response

        key = "|".join((self._agent, model.name, model.endpoint))
        answer = await task.gate.call(key, model.called, call)
        if isinstance(answer, StructuredOutputError):
            raise UnfitAnswer(answer.ai_message, str(answer)) from answer
        return answer

    def _take(self, task: Task, model: KnownModel, answer: AIMessage) -> None:
        task.usage.add(usage_of(answer, task.gate.settings(model.called)))
        refuse_incomplete(answer)


def _message(response: Response) -> AIMessage:
    return next(message for message in response.result if isinstance(message, AIMessage))
