"""People as agents: a question that a step waits for, and the agent that puts it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from stretto.agents.agent import Agent, Task
from stretto.agents.skills import skills
from stretto.errors import ConfigurationError, StepFailed

NOTHING: Any = object()
"""Stands for a value that there is not, where None is one."""
SHORTEST_PAUSE = 1.0
"""Seconds between two reminders, at least."""
Comment = Literal["optional", "required"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person is asked; an agent that returns one makes its step wait for the answer."""

    message: str
    options: tuple[str, ...] = ("approve", "reject")
    edit: Any = NOTHING
    """The value that the person may change, as JSON data; ``NOTHING`` if there is none."""
    edit_schema: Mapping[str, Any] | None = None
    """The JSON Schema that a changed value has to fit."""
    comment: Comment | None = None
    """Whether the answer may or must say why."""
    deadline: float | None = None
    """Seconds until the question expires."""
    on_deadline: str | None = None
    """The option that is taken then; None fails the step."""
    remind_after: float | None = None
    """Seconds until the first reminder."""
    remind_every: float | None = None
    """Seconds from each reminder to the next."""

    def __post_init__(self) -> None:
        """Refuse a question that has no answer, or that would be reminded of without a pause.

        Raises:
            ConfigurationError: there are no options, ``on_deadline`` is none of them, or
                ``remind_every`` is less than a second.

        """
        if not self.options:
            raise ConfigurationError("a question needs at least one option to choose")
        if self.on_deadline is not None and self.on_deadline not in self.options:
            allowed = ", ".join(self.options)
            raise ConfigurationError(
                f"on_deadline is '{self.on_deadline}', which is none of the options: {allowed}"
            )
        if self.remind_every is not None and self.remind_every < SHORTEST_PAUSE:
            raise ConfigurationError(
                f"remind_every is {self.remind_every:g} s; give at least {SHORTEST_PAUSE:g} s"
            )


class Asked(StepFailed):
    """An agent returned a question; its step asks it, and everything else fails of it."""

    code = "asks_a_person"

    def __init__(self, question: Question) -> None:
        """Carry the question."""
        super().__init__("the agent asks a person, and only a step can wait for the answer")
        self.question = question


class HumanAgent(Agent):
    """A person whom steps call like any other agent; the output is what the person decides.

    The message is a mustache text that may use ``input``, ``inputs``, ``context``, ``params`` and
    every param by its own name. The param ``edit`` is the value that the person may change.
    """

    def __init__(
        self,
        name: str,
        message: str,
        options: tuple[str, ...] = ("approve", "reject"),
        *,
        capabilities: frozenset[str] | set[str] = frozenset({"validation"}),
        comment: Comment | None = None,
        edit_schema: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        on_deadline: str | None = None,
        remind_after: float | None = None,
        remind_every: float | None = None,
    ) -> None:
        """Describe who is asked and what; the rest is as in ``Question``, times in seconds.

        Args:
            name: how steps call the person.
            message: the mustache text of the question.
            options: what may be chosen.
            capabilities: what the person can do.
            comment: whether the answer may or must say why.
            edit_schema: the JSON Schema that a changed value has to fit.
            deadline: until the question expires.
            on_deadline: the option that is taken then.
            remind_after: until the first reminder.
            remind_every: from each reminder to the next.

        Raises:
            ConfigurationError: the message is no mustache text, or the question has no answer.

        """
        from stretto.prompts import prompt_from_text

        self.name = name
        self.capabilities = skills(capabilities, self.name)
        self.max_concurrent_tasks = 1000  # asking takes no time, and who waits holds no slot
        self._prompt = prompt_from_text(message, name)
        self._question = Question(
            message=message,
            options=tuple(options),
            comment=comment,
            edit_schema=edit_schema,
            deadline=deadline,
            on_deadline=on_deadline,
            remind_after=remind_after,
            remind_every=remind_every,
        )

    async def run(self, task: Task) -> Question:
        """Put the question for one task."""
        values = task.values_for(self._prompt.values)
        edit = task.params.get("edit", NOTHING)
        return replace(self._question, message=self._prompt.render(**values), edit=edit)
