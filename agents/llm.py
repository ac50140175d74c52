"""Agents whose work is one call of a chat model."""

import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from stretto.agents.agent import Agent, Task, Usage
from stretto.agents.threads import in_thread
from stretto.errors import StepFailed

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk

    from stretto.prompts import Prompt

    ModelSource = str | BaseChatModel | partial[BaseChatModel] | None

_FILE_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ENDINGS = ("finish_reason", "stop_reason", "done_reason")
"""Where providers say in a message's metadata why they stopped."""
_ALWAYS_SAY_WHY = frozenset({"openai", "azure_openai", "anthropic"})
"""Providers whose every complete answer says why it ended."""
_TOO_LONG = frozenset({"length", "max_tokens", "model_length", "max_output_tokens"})
_FILTERED = frozenset({"content_filter", "safety", "refusal", "prohibited_content", "blocklist"})


class LLMAgent(Agent):
    """Renders a prompt, streams the model's answer, and gives the whole of it back."""

    def __init__(
        self,
        name: str,
        prompt: str,
        model: "ModelSource" = None,
        *,
        capabilities: frozenset[str] | set[str] = frozenset(),
        max_concurrent_tasks: int = 5,
    ) -> None:
        """Describe the agent; the model is opened by its first call.

        Args:
            name: how steps call it.
            prompt: the name of a shipped prompt, or a mustache text.
            model: a model's name (see ``open_model``), a chat model of LangChain, or a ``partial``
                that opens one.
            capabilities: what it can do.
            max_concurrent_tasks: how many of its calls may run at once.

        """
        self.name = name
        self.capabilities = frozenset(capabilities)
        self.max_concurrent_tasks = max_concurrent_tasks
        self._prompt_source = prompt
        self._prompt: Prompt | None = None
        self._model = model
        self._chat: BaseChatModel | None = None

    async def run(self, task: Task) -> dict[str, Any]:
        """Answer one task.

        The prompt may use ``input``, ``inputs``, ``context``, ``params`` and every param by its
        own name. Pieces of the answer are published as they come.

        Returns:
            ``text``, ``model`` (its name) and ``offline`` (whether no real model was asked).

        Raises:
            StepFailed: the answer was cut off (``truncated_answer``), filtered
                (``filtered_answer``) or empty (``empty_answer``).
            ConfigurationError: the prompt or the model is not there, or a value is missing.

        """
        await self.prepare()
        return await self.answer(task, self.values(task))

    async def prepare(self) -> None:
        """Load the prompt and open the model, in a thread: both read files and import a lot."""
        if self._prompt is None or self._chat is None:
            await in_thread(self._prepare)

    def _prepare(self) -> None:
        self._loaded_prompt()
        self._opened_model()

    def values(self, task: Task) -> dict[str, Any]:
        """Give the values that the prompt asks for, as far as the task has them."""
        known = {
            "input": task.input,
            "inputs": task.inputs,
            "context": task.context,
            "params": task.params,
            **task.params,
        }
        return {name: known[name] for name in self._loaded_prompt().values if name in known}

    async def answer(self, task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
        """Render the prompt with ``values`` and stream the model's answer to it."""
        await self.prepare()
        from langchain_core.messages import HumanMessage

        text = self._loaded_prompt().render(**values)
        model = self._opened_model()
        task.usage.add(Usage(calls=1))
        answer: AIMessageChunk | None = None
        async for chunk in model.astream([*task.messages, HumanMessage(text)]):
            answer = chunk if answer is None else answer + chunk
            if chunk.text:
                await task.emit(chunk.text)
        if answer is None:
            raise StepFailed("The model gave no answer.", code="empty_answer", retryable=True)
        _count(answer, task.usage)
        _refuse_incomplete(answer)
        facts: dict[str, Any] = answer.response_metadata
        name = facts.get("model_name") or getattr(model, "model_name", None) or type(model).__name__
        return {"text": answer.text, "model": str(name), "offline": facts.get("offline") is True}

    @property
    def prompt(self) -> "Prompt":
        """The prompt; it is loaded the first time.

        Raises:
            ConfigurationError: it is not there, or wrong.

        """
        return self._loaded_prompt()

    def _loaded_prompt(self) -> "Prompt":
        from stretto.prompts import load_prompt, prompt_from_text

        if self._prompt is None:
            source = self._prompt_source
            named = _FILE_NAME.fullmatch(source)
            self._prompt = load_prompt(source) if named else prompt_from_text(source, self.name)
        return self._prompt

    def _opened_model(self) -> "BaseChatModel":
        from stretto.agents.models import open_model

        if self._chat is None:
            source = self._model
            if source is None or isinstance(source, str):
                self._chat = open_model(source)
            else:
                self._chat = source() if isinstance(source, partial) else source
        return self._chat


def missing_params(agent: LLMAgent, given: Collection[str]) -> tuple[str, ...]:
    """List what a step has to give for the agent's prompt, beside what every task has.

    Nothing can be said of an agent that finds its values in a way of its own.

    Args:
        agent: the agent.
        given: the names of the step's params.

    Raises:
        ConfigurationError: the prompt is not there, or wrong.

    """
    kind = type(agent)
    if kind.run is not LLMAgent.run or kind.values is not LLMAgent.values:
        return ()
    known = {"input", "inputs", "context", "params", *given}
    return tuple(name for name in agent.prompt.values if name not in known)


def _count(answer: "AIMessageChunk", usage: Usage) -> None:
    if figures := answer.usage_metadata:
        spent = Usage(figures["input_tokens"], figures["output_tokens"])
        usage.add(spent)


def _refuse_incomplete(answer: "AIMessageChunk") -> None:
    facts: dict[str, Any] = answer.response_metadata
    ending = next((str(facts[key]).lower() for key in _ENDINGS if facts.get(key)), None)
    if ending in _TOO_LONG:
        message = "The model's answer reached the length limit; raise it or ask for less."
        raise StepFailed(message, code="truncated_answer", retryable=False)
    if ending in _FILTERED or answer.additional_kwargs.get("refusal"):
        message = "The model's provider withheld the answer; change what is asked."
        raise StepFailed(message, code="filtered_answer", retryable=False)
    if ending is None and facts.get("model_provider") in _ALWAYS_SAY_WHY:
        message = "The model's answer broke off before its end."
        raise StepFailed(message, code="truncated_answer", retryable=True)
    if not answer.text.strip():
        raise StepFailed("The model gave an empty answer.", code="empty_answer", retryable=True)
