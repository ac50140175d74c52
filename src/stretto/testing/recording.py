"""The events of a run, as a list with the questions that tests ask."""

from collections.abc import AsyncIterable, Mapping
from typing import Any, cast

from stretto.engine.handle import RunHandle
from stretto.events import EVENT_TYPES, EventType, RunEvent


class Recording(list[RunEvent]):
    """Events in their order."""

    @property
    def types(self) -> list[EventType]:
        """What happened, in order, without the pieces of streamed text."""
        return [event.event for event in self if event.event != "agent_stream"]

    @property
    def text(self) -> str:
        """Everything that was streamed."""
        return "".join(str(event.data.get("content", "")) for event in self.of("agent_stream"))

    def of(self, event: EventType, step: str | None = None) -> list[RunEvent]:
        """Give the events of a type, of all steps or of one by its path.

        Raises:
            ValueError: there is no such type of event.

        """
        if event not in EVENT_TYPES:
            raise ValueError(f"there is no event '{event}'; there are {', '.join(EVENT_TYPES)}")
        return [e for e in self if e.event == event and step in (None, e.step)]

    def outline(self) -> list[str]:
        """Write one line per event, without times and ids, for snapshots.

        A line has the type and the step's path, ``#2`` for a second attempt, and the code of an
        error. What a step streams in a row is one line with the text, as readers have it in the
        end: without what a reset took back.
        """
        lines: list[str] = []
        text, streaming = "", None
        for event in self:
            words = [event.event, event.step or ""]
            if (attempt := event.data.get("attempt", 1)) > 1:
                words.append(f"#{attempt}")
            line = " ".join(word for word in words if word)
            if event.event != "agent_stream":
                code = event.data.get("code")
                lines.append(f"{line}: {code}" if code else line)
                streaming = None
                continue
            if streaming == line:
                lines.pop()
            else:
                text, streaming = "", line
            if event.data.get("kind") == "reset":  # readers drop what they had
                text = ""
            text += str(event.data.get("content", ""))
            lines.append(f"{line}: {text}")
        return lines


async def record_events(source: RunHandle | AsyncIterable[Any]) -> Recording:
    """Collect the events of a run until it ends or waits for a person.

    Args:
        source: ``engine.stream(...)``, a run's handle or its ``events()``; or the custom stream of
            a compiled graph, ``graph.astream(..., stream_mode="custom")``.

    Raises:
        TypeError: something in it is no event.

    """
    recording = Recording()
    async for item in source.events() if isinstance(source, RunHandle) else source:
        recording.append(_event(item, len(recording) + 1))
    return recording


def _event(item: Any, place: int) -> RunEvent:
    if isinstance(item, RunEvent):
        return item
    if isinstance(item, Mapping):
        told = cast(Mapping[str, Any], item)
        if told.get("event") in EVENT_TYPES:
            return RunEvent(told["event"], "", place, 0.0, told.get("step"), dict(told["data"]))
    message = "is no event of a run; give engine.stream(...), a handle, or a graph's custom stream"
    raise TypeError(f"{item!r} {message}")
