import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stretto.agents.agent import Task
from stretto.agents.llm import HttpTool, LLMAgent
from stretto.agents.llm.mcp import McpServer
from stretto.errors import ConfigurationError, StepFailed
from stretto.testing import ScriptedModel
from tests.fakes.canary import Canary, running

ORDER = {"order_id": {"type": "string"}, "full": {"type": "boolean", "default": False}}


@asynccontextmanager
async def service() -> AsyncGenerator[tuple[str, list[str]]]:
    """Answer every request with what was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((x for x in head.lower().split("\r\n") if x.startswith("content-length")), "")
        body = await reader.readexactly(int(length.partition(":")[2] or 0))
        asked.append(f"{head.partition(' HTTP')[0]} {body.decode()}".strip())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
        writer.write(b'content-length: 11\r\nconnection: close\r\n\r\n{"ok":true}')
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GET", "GET /orders/a%2Fb%3F?full=true"),
        ("POST", 'POST /orders/a%2Fb%3F {"full":true}'),
    ],
)
async def test_arguments_go_into_the_path_and_then_where_the_method_has_them(
    method: str, request_: str
) -> None:
    async with service() as (url, asked):
        tool = HttpTool(
            "order",
            "Look an order up.",
            f"{url}/orders/{{order_id}}",
            method,
            ORDER,
            allow_private=True,
        )
        assert await tool.call(order_id="a/b?", full=True) == {"ok": True}
    assert asked == [request_]


@pytest.mark.parametrize("rest", ["?id={order_id}", "#{order_id}", "{order_id}?full={full}"])
def test_only_the_path_holds_arguments(rest: str) -> None:
    with pytest.raises(ConfigurationError, match="only the path of the url may hold {argument}"):
        HttpTool("order", "Look.", f"https://example.org/{rest}", arguments=ORDER)


async def test_the_secret_of_a_tool_is_known_to_its_service_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEY", "of the environment")
    headers = {"Authorization": "Bearer secret://KEY"}
    canary = Canary()
    canary.answer("/orders", b"{}", content_type="application/json")
    async with running(canary):
        for resolve in (None, {"KEY": "given"}.__getitem__):
            tool = HttpTool(
                "order",
                "Look.",
                canary.url("/orders"),
                headers=headers,
                allow_private=True,
                resolve_secret=resolve,
            )
            model = ScriptedModel([{"tool_calls": [{"name": "order", "args": {}}]}, "There."])
            await LLMAgent("a", "Where?", model, tools=[tool]).run(Task())
            assert "Bearer" not in model.calls[1].text
    told = [request.headers["authorization"] for request in canary.requests]
    assert told == ["Bearer of the environment", "Bearer given"]


async def test_a_model_calls_a_web_service() -> None:
    async with service() as (url, asked):
        tool = HttpTool(
            "order", "Look an order up.", f"{url}/{{order_id}}", arguments=ORDER, allow_private=True
        )
        call = {"tool_calls": [{"name": "order", "args": {"order_id": "7"}}]}
        model = ScriptedModel([call, "It is there."])
        answer = await LLMAgent("a", "Where?", model, tools=[tool]).run(Task())
    assert (answer["text"], asked) == ("It is there.", ["GET /7?full=false"])
    assert "true" in model.calls[1].text


@pytest.mark.parametrize("arguments", [{}, {"order_id": 7}, {"order_id": "7", "url": "x"}])
async def test_arguments_that_do_not_fit_are_not_sent(arguments: dict[str, Any]) -> None:
    tool = HttpTool("order", "Look.", "http://127.0.0.1:1/{order_id}", arguments=ORDER)
    with pytest.raises(StepFailed) as failure:
        await tool.call(**arguments)
    assert failure.value.code == "tool_arguments"


@pytest.mark.parametrize("id_", [".", ".."])
async def test_an_argument_cannot_leave_its_place_in_the_path(id_: str) -> None:
    async with service() as (url, asked):
        url = f"{url}/orders/{{order_id}}/lines"
        tool = HttpTool("order", "Look.", url, arguments=ORDER, allow_private=True)
        with pytest.raises(StepFailed) as failure:
            await tool.call(order_id=id_)
    assert (failure.value.code, asked) == ("tool_arguments", [])


async def test_two_arguments_cannot_leave_their_place_together() -> None:
    async with service() as (url, asked):
        parts = {"a": {"type": "string"}, "b": {"type": "string"}}
        tool = HttpTool("t", "Look.", f"{url}/x/{{a}}{{b}}", arguments=parts, allow_private=True)
        with pytest.raises(StepFailed) as failure:
            await tool.call(a=".", b=".")
    assert (failure.value.code, asked) == ("tool_arguments", [])


async def test_an_argument_may_stand_in_the_path_twice() -> None:
    async with service() as (url, asked):
        url = f"{url}/{{order_id}}/of/{{order_id}}"
        tool = HttpTool("order", "Look.", url, arguments=ORDER, allow_private=True)
        await tool.call(order_id="7")
    assert asked == ["GET /7/of/7?full=false"]


def test_arguments_that_are_no_schemas_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="tool 'order': the schema of its arguments"):
        HttpTool("order", "Look.", "https://example.org", arguments={"a": {"type": "nonsense"}})


async def test_a_tool_reaches_no_private_address_unless_it_may() -> None:
    tool = HttpTool("order", "Look.", "http://127.0.0.1:1/{order_id}", arguments=ORDER)
    with pytest.raises(StepFailed) as failure:
        await tool.call(order_id="7")
    assert failure.value.code == "address_refused"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://{host}/x", "a fixed host"),
        ("ftp://h/x", "a fixed host"),
        ("https://h/{id}", "needs 'id'"),
    ],
)
def test_an_address_that_a_model_could_choose_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        HttpTool("order", "Look.", url)


SERVER = """
from mcp.server.fastmcp import FastMCP
server = FastMCP("words")

@server.tool()
def shout(word: str) -> str:
    "Say a word loudly."
    return word.upper()

@server.tool()
def hidden() -> str:
    "Not for everybody."
    return "secret"

server.run()
"""


async def test_a_model_calls_the_tools_of_an_mcp_server(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    words = McpServer("words", sys.executable, [str(tmp_path / "server.py")], tools=["shout"])
    call = {"tool_calls": [{"name": "shout", "args": {"word": "hi"}}]}
    model = ScriptedModel([call, "Done."])
    async with asyncio.timeout(60):
        answer = await LLMAgent("a", "Shout.", model, tools=[words]).run(Task())
    assert (answer["text"], model.calls[0].tools) == ("Done.", ("shout",))
    assert "HI" in model.calls[1].text


async def test_a_tool_that_an_mcp_server_does_not_offer_is_named(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    words = McpServer("words", sys.executable, [str(tmp_path / "server.py")], tools=["whisper"])
    async with asyncio.timeout(60):
        with pytest.raises(ConfigurationError, match="has no tool 'whisper'; it has"):
            await words.load()


async def test_an_mcp_server_that_is_not_there_is_told() -> None:
    words = McpServer("words", url="http://127.0.0.1:1/mcp?token=key-2")
    async with asyncio.timeout(60):
        with pytest.raises(ConfigurationError, match="at http://127.0.0.1:1/mcp gave no") as told:
            await words.load()
    assert "key-" not in str(told.value)


async def test_the_arguments_of_an_mcp_server_that_fails_are_not_told() -> None:
    words = McpServer("words", "false", ["--token", "key-1"])
    async with asyncio.timeout(60):
        with pytest.raises(ConfigurationError, match="'words' at false gave no tools") as told:
            await words.load()
    assert "key-" not in str(told.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give either command or url"),
        ({"command": "x", "url": "http://h"}, "give either command or url"),
        ({"url": "::h"}, "the url "),
    ],
)
def test_it_is_clear_how_an_mcp_server_is_reached(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        McpServer("words", **given)
