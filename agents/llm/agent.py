"""Agents whose work is a conversation with a chat model."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from stretto.agents.agent import OpenModel, PreparedAgent, Task
from stretto.agents.llm.mcp import McpServer
from stretto.agents.llm.output import OutputSchema
from stretto.agents.llm.remembering import keep_exchange, known_before, question_of, with_known
from stretto.agents.llm.tools import check_tools
from stretto.agents.skills import skills
from stretto.agents.threads import in_thread

if TYPE_CHECKING:
    from functools import partial

    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool

    from stretto.agents.llm.conversation import Conversation
    from stretto.agents.llm.tools import ToolSource
    from stretto.agents.models.known import KnownModel
    from stretto.prompts import Prompt

    ModelSource = str | BaseChatModel | partial[BaseChatModel] | None
else:
    ModelSource = Any

_FILE_NAME = re.compile(r"[A-Za-z0-9_-]+")
MAX_MODEL_CALLS = 12
"""Calls of the model that one task may take, tools and repair included."""


class LLMAgent(PreparedAgent):
    """Renders a prompt, lets a model work on it with tools, and gives its answer back."""

    no_actions = PreparedAgent.no_actions | {"values", "missing_values", "answer"}

    def __init__(
        self,
        name: str,
        prompt: "str | Prompt",
        model: ModelSource = None,
        *,
        tools: "Sequence[ToolSource]" = (),
        output: Any = None,
        fallback_models: Sequence[ModelSource] = (),
        max_model_calls: int = MAX_MODEL_CALLS,
        memory: bool = False,
        capabilities: frozenset[str] | set[str] = frozenset(),
        max_concurrent_tasks: int = 5,
    ) -> None:
        """Describe the agent; models are opened by ``prepare`` or by the first call.

        Args:
            name: how steps call it.
            prompt: a prompt, the name of one, the path of its ``.md`` file, or a mustache text.
            model: a model's name (see ``open_model``), a chat model of LangChain, or a ``partial``
                that opens one.
            tools: what the model may call: Python functions with typed arguments and a docstring,
                tools of LangChain, ``HttpTool``, ``McpServer``, and by name those of memory:
                ``"recall"``, ``"remember"``.
            output: what the answer has to be: a pydantic model or a JSON Schema of an object; its
                data is then the output. None takes the text as it is.
            fallback_models: asked in this order when the model before cannot be reached.
            max_model_calls: calls of the model that one task may take.
            memory: whether what is known goes into the prompt's data, and the exchange is
                remembered once it has succeeded.
            capabilities: what it can do.
            max_concurrent_tasks: how many of its calls may run at once.

        Raises:
            ConfigurationError: a tool has arguments without types, or the schema is none.

        """
        self.name = name
        self.capabilities = skills(capabilities, self.name)
        self.max_concurrent_tasks = max_concurrent_tasks
        self._prompt_source = prompt
        self._prompt: Prompt | None = None
        self._models = (model, *fallback_models)
        self._tools = check_tools(name, tools)
        self._output = None if output is None else OutputSchema.of(output, name)
        self._most = max_model_calls
        self._remembers = memory
        self._conversation: Conversation | None = None

    async def run(self, task: Task) -> dict[str, Any]:
        """Answer one task.

        The prompt may use ``input``, ``inputs``, ``context``, ``params`` and every param by its
        own name. Pieces of the answer are published as they come.

        Returns:
            The data that ``output`` asks for; without it ``text``, ``model`` (its name) and
            ``offline`` (whether no real model was asked).

        Raises:
            StepFailed: the answer was cut off (``truncated_answer``), filtered
                (``filtered_answer``), empty (``empty_answer``), or does not fit ``output``
                (``unfit_answer``); the model cannot be reached or refuses.
            ConfigurationError: the prompt or the model is not there, or a value is missing.

        """
        await self.prepare()
        return await self.answer(task, self.values(task))

    async def prepare(self, open_model: OpenModel | None = None) -> None:
        """Load the prompt and open the models, in a thread: both read files and import a lot.

        Args:
            open_model: opens models by name; by the environment alone if None.

        Raises:
            ConfigurationError: the prompt, a model, its key or a tool's server is not there.

        """
        if self._conversation is None:
            self._conversation = await self._open(open_model)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The URL of each of its models, in their order; empty where none is known."""
        return self._conversation.endpoints if self._conversation else ()

    def values(self, task: Task) -> dict[str, Any]:
        """Give the values that the prompt asks for, as far as the task has them."""
        return task.values_for(self.prompt.values)

    def missing_values(self, params: Iterable[str]) -> tuple[str, ...]:
        """Name the values that the prompt asks for and that no task with these params has.

        Nothing can be said of an agent that finds its values in a way of its own.
        """
        kind = type(self)
        if kind.run is not LLMAgent.run or kind.values is not LLMAgent.values:
            return ()
        known = {"input", "inputs", "context", "params", *params}
        return tuple(name for name in self.prompt.values if name not in known)

    async def answer(self, task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
        """Render the prompt with ``values`` and let the model answer it."""
        await self.prepare()
        assert self._conversation is not None
        prompt = self.prompt
        text, question = prompt.render(**values), ""
        if self._remembers:
            question = question_of(task, values)
            text = with_known(prompt, values, await known_before(task, question))
        task.facts["prompt"] = prompt.facts()
        answer = await self._conversation.ask(task, text)
        facts = {"model": answer.model, "offline": answer.offline}
        task.facts.update(facts)
        gives = {"text": answer.text, **facts}
        if self._output is not None:
            gives = cast(dict[str, Any], answer.data)
        if self._remembers:
            await keep_exchange(task, self.name, question, gives)
        return gives

    @property
    def prompt(self) -> "Prompt":
        """The prompt; it is loaded the first time.

        Raises:
            ConfigurationError: it is not there, or wrong.

        """
        from stretto.prompts import Prompt, load_prompt, prompt_from_text

        if self._prompt is None:
            source = self._prompt_source
            if isinstance(source, Prompt):
                self._prompt = source
            elif _FILE_NAME.fullmatch(source) or source.endswith(".md"):
                self._prompt = load_prompt(source)
            else:
                self._prompt = prompt_from_text(source, self.name)
        return self._prompt

    async def _open(self, open_model: OpenModel | None) -> "Conversation":
        begin, models, tools = await in_thread(self._load, open_model)
        for tool in self._tools:
            if isinstance(tool, McpServer):
                tools += await tool.load()
        hints = {k: v for k, v in self.prompt.model.to_dict().items() if k != "name"}
        return begin(self.name, models, tools, self._output, self._most, hints)

    def _load(
        self, open_model: OpenModel | None
    ) -> "tuple[type[Conversation], list[KnownModel], list[BaseTool]]":
        from stretto.agents.llm.conversation import Conversation
        from stretto.agents.llm.tools import make_tools
        from stretto.agents.models.known import know_model
        from stretto.agents.models.prices import FREE

        _ = self.prompt
        models = [know_model(source, open_model) for source in self._models]
        if any(model.called.partition(":")[0] not in FREE for model in models):
            import_module("genai_prices")  # takes its time, so not at the first answer
        return Conversation, models, make_tools(self._tools)
