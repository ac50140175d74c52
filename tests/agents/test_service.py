"""A web service that steps call like any other agent."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from stretto.agents.agent import Task
from stretto.agents.declared import resolve
from stretto.agents.service import HttpAgent
from stretto.errors import ConfigurationError, StepFailed
from stretto.graphs.requests import selector
from tests.fakes.canary import Canary, running
from tests.graphs.running import perform


@pytest.fixture
async def crm() -> AsyncIterator[Canary]:
    async with running(Canary()) as server:
        found = json.dumps({"data": {"items": [{"name": "Ada"}]}}).encode()
        server.answer("/leads", found, content_type="application/json")
        yield server


def service(crm: Canary, method: str = "POST", **options: Any) -> HttpAgent:
    return HttpAgent("crm", crm.url("/leads"), method, allow_private=True, **options)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_params_are_the_json_body(crm: Canary, method: str) -> None:
    answer = await service(crm, method).run(Task(params={"id": 7, "tags": ["a"]}))
    (sent,) = crm.requests
    assert (sent.method, json.loads(sent.body)) == (method, {"id": 7, "tags": ["a"]})
    assert answer["body"]["data"]["items"] == [{"name": "Ada"}]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_params_are_the_query_where_there_is_no_body(crm: Canary, method: str) -> None:
    await service(crm, method).run(Task(params={"id": "a b", "none": None, "tags": [1, 2]}))
    (sent,) = crm.requests
    assert (sent.path, sent.body) == ("/leads?id=a+b&tags=1&tags=2", b"")


async def test_a_step_calls_it_and_gets_what_is_selected(crm: Canary) -> None:
    agent = service(crm, select=selector("body.data.items[0].name"), capabilities={"data_fetch"})
    step = {"id": "lead", "capability": "data_fetch", "params": {"id": "${input.id}"}}
    ran = await perform([step], [agent], input={"id": 7})
    assert ran.output == "Ada"
    assert json.loads(crm.requests[0].body) == {"id": 7}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("status", 200),
        ("headers.content-type", None),
        ('headers["content-type"]', "application/json"),
        ("body.data.items[0].name", "Ada"),
        ('body["data"].items[0]', {"name": "Ada"}),
    ],
)
async def test_a_path_in_a_file_says_what_the_output_is(
    crm: Canary, path: str, wanted: Any
) -> None:
    config = {"url": crm.url("/leads"), "allow_private": True, "select": path}
    if wanted is None:
        with pytest.raises(ConfigurationError, match=r"agent 'crm': select '.*' is no path"):
            resolve("http", "crm", config)
        return
    agent, _ = resolve("http", "crm", config)
    assert await agent.run(Task()) == wanted


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("body.lead", "body has no 'lead'; it is a mapping of 'data'"),
        ("body.data.items[3]", "body.data.items has no 3; it is a list of 1"),
        ("body.data.items.name", "body.data.items has no 'name'; it is a list of 1"),
        ("body[0]", "body has no 0; it is a mapping of 'data'"),
        ("body.data.items[0].name[0]", "body.data.items[0].name has no 0; it is a text"),
        ("status.code", "status has no 'code'; it is a number or a boolean"),
    ],
)
async def test_what_is_not_in_the_answer_is_told_with_what_is(
    crm: Canary, path: str, told: str
) -> None:
    with pytest.raises(StepFailed, match=re.escape(told)) as failed:
        await service(crm, select=path).run(Task())
    assert failed.value.code == "http_select_failed"


@pytest.mark.parametrize("path", ["", "data.items", "body..x", "body[-1]", "body.", "body[x]", 5])
async def test_what_is_no_path_is_refused_at_once(crm: Canary, path: Any) -> None:
    with pytest.raises(ConfigurationError, match="agent 'crm': select"):
        service(crm, select=path)


async def test_every_attempt_of_a_call_that_changes_something_has_the_same_key(
    crm: Canary,
) -> None:
    crm.answer("/leads", status=503)
    step = {"id": "a", "agent": "crm", "retry": {"attempts": 2, "delay": 0}}
    ran = await perform([step], [service(crm)])
    assert ran.errors == [("a", "http_status")]
    keys = [sent.headers["idempotency-key"] for sent in crm.requests]
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert keys[0].endswith("/a")


async def test_a_value_of_a_workflow_chooses_no_secret_and_no_address(crm: Canary) -> None:
    agent = service(
        crm,
        headers={"Authorization": "Bearer secret://KEY"},
        resolve_secret={"KEY": "k-123456"}.__getitem__,
    )
    await agent.run(Task(params={"url": "http://elsewhere/", "note": "secret://KEY"}))
    (sent,) = crm.requests
    assert sent.headers["authorization"] == "Bearer k-123456"
    assert json.loads(sent.body)["note"] == "secret://KEY"


def sixth(answer: Mapping[str, Any]) -> Any:
    return answer["body"]["data"]["items"][5]


@pytest.mark.parametrize("select", [sixth, selector("body.data.nothing")], ids=["python", "cel"])
async def test_an_answer_without_what_is_wanted_fails(crm: Canary, select: Any) -> None:
    with pytest.raises(StepFailed) as failed:
        await service(crm, select=select).run(Task())
    assert failed.value.code == "http_select_failed"
    assert not failed.value.retryable


@pytest.mark.parametrize(
    ("url", "method", "words"),
    [
        ("ftp://x/", "GET", "must begin with http:// or https://"),
        ("x.example/leads", "GET", "must begin with http:// or https://"),
        ("https://", "GET", "names no host"),
        ("https://me:word@x.example/", "GET", "put credentials into a header"),
        ("https://[::1/", "GET", "is not valid"),
        ("https://x.example/", "FETCH", "'FETCH' is no method; use DELETE, GET"),
    ],
)
def test_a_service_that_cannot_be_called_is_refused_at_once(
    url: str, method: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match="agent 'crm': ") as refused:
        HttpAgent("crm", url, method)
    assert words in str(refused.value)
    assert "word@" not in str(refused.value)
