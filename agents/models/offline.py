"""A chat model without network: it answers with the most telling sentences of what it was given.

It is extractive and deterministic: the same prompt gives the same answer, every sentence of which
stands in the prompt. It serves demonstrations, tests and work without a key, and says so in the
``response_metadata`` of each answer.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

MOST_SENTENCES = 4
MOST_BULLETS = 4
_DATA = re.compile(r"<data>\n?(.*)</data>", re.DOTALL)
_NUMBERED = re.compile(r"\d+[.)] ")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z“\"])")
_NOTHING = "There is nothing in the request to answer from."


@dataclass(slots=True)
class Section:
    """A part of the data under one heading."""

    title: str = ""
    prose: list[str] = field(default_factory=list[str])
    bullets: list[str] = field(default_factory=list[str])
    steps: list[str] = field(default_factory=list[str])


def count_tokens(text: str) -> int:
    """Count words and marks, the unit of this model's usage figures."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def extract_answer(request: str) -> str:
    """Build an answer from a request.

    The data is what stands between ``<data>`` and ``</data>``, or the whole request without them.
    Of every section under a ``##`` heading it keeps, in their order, the most telling sentences
    and bullets, and all numbered lines, because steps only make sense together.

    Args:
        request: the text of the last message.

    """
    match = _DATA.search(request)
    sections = _sections(match[1] if match else request)
    lines = [line for part in sections for line in (*part.prose, *part.bullets)]
    spread = Counter(word for line in lines for word in set(_words(line)))
    parts = [_written(section, spread, len(lines)) for section in sections]
    return "\n\n".join(part for part in parts if part) or _NOTHING


def _sections(data: str) -> list[Section]:
    sections = [Section()]
    for line in (line.strip() for line in data.splitlines()):
        if line.startswith("#"):
            sections.append(Section(line.lstrip("# ")))
        elif line.startswith(("- ", "* ")):
            sections[-1].bullets.append(line[2:].strip())
        elif _NUMBERED.match(line):
            sections[-1].steps.append(line)
        elif line:
            sections[-1].prose += _SENTENCE_END.split(line)
    return sections


def _written(section: Section, spread: Counter[str], total: int) -> str:
    prose = " ".join(_telling(section.prose, MOST_SENTENCES, spread, total))
    bullets = [f"- {line}" for line in _telling(section.bullets, MOST_BULLETS, spread, total)]
    body = "\n".join([*([prose] if prose else []), *bullets, *section.steps])
    titled = section.title and section.title.lower() != "summary"
    return f"**{section.title}**\n{body}" if titled and body else body


def _telling(lines: list[str], most: int, spread: Counter[str], total: int) -> list[str]:
    """Keep the lines that say most: rare words and figures, for their length; the first always."""
    if len(lines) <= most:
        return lines

    def weight(place: int) -> float:
        words = _words(lines[place])
        rare = sum(log(1 + total / spread[word]) for word in set(words))
        figures = sum(word.isdigit() for word in words)
        return (rare + figures) / sqrt(len(words) + 1)

    best = sorted(range(1, len(lines)), key=lambda place: (-weight(place), place))[: most - 1]
    return [lines[place] for place in sorted([0, *best])]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


class OfflineModel(BaseChatModel):
    """The chat model of ``open_model("offline")``."""

    model_name: str = "offline"
    pace: float = 0.0
    """Seconds between two words of a stream, for people who want to watch one."""

    @property
    def _llm_type(self) -> str:
        return "stretto-offline"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = AIMessage(
            content=extract_answer(messages[-1].text),
            response_metadata=self._facts(),
            usage_metadata=_usage(messages, extract_answer(messages[-1].text)),
        )
        return ChatResult(generations=[ChatGeneration(message=answer)])

    def _facts(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "offline": True, "finish_reason": "stop"}

    def _chunks(self, messages: list[BaseMessage]) -> Iterator[ChatGenerationChunk]:
        text = extract_answer(messages[-1].text)
        for piece in re.findall(r"\S+\s*", text):
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        last = AIMessageChunk(
            content="",
            response_metadata=self._facts(),
            usage_metadata=_usage(messages, text),
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages):
            if run_manager and chunk.text:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._chunks(messages):
            if self.pace:
                await asyncio.sleep(self.pace)
            if run_manager and chunk.text:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def _usage(messages: Sequence[BaseMessage], answer: str) -> UsageMetadata:
    asked = sum(count_tokens(message.text) for message in messages)
    given = count_tokens(answer)
    return UsageMetadata(input_tokens=asked, output_tokens=given, total_tokens=asked + given)
