"""``langgraph dev`` serves the shipped workflow, with nothing but the loopback interface."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).parents[1]
PATIENCE = 60.0
"""Seconds until a host that does not come up is given up."""
QUIET = {
    "LANGGRAPH_CLI_NO_ANALYTICS": "1",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "NO_PROXY": "127.0.0.1",
}
SECRETS = ("OPENAI_", "STRETTO_", "LANGSMITH_", "LANGCHAIN_", "LANGGRAPH_")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def ask(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=PATIENCE) as answer:
        return json.load(answer)


def wait_until_up(process: "subprocess.Popen[bytes]", base: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            assert ask(f"{base}/ok")["ok"] is True
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the host did not come up:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """Serve a copy of what ``langgraph.json`` names; the host keeps its data in that folder."""
    folder = tmp_path_factory.mktemp("host")
    shutil.copy(REPO / "langgraph.json", folder)
    shutil.copytree(REPO / "examples" / "langgraph_host", folder / "examples" / "langgraph_host")
    port, log = free_port(), folder / "log"
    command = Path(sys.executable).parent / "langgraph"
    options = ["--no-browser", "--no-reload", "--host", "127.0.0.1", "--port", str(port)]
    plain = {k: v for k, v in os.environ.items() if not k.upper().startswith(SECRETS)}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [command, "dev", *options],
            cwd=folder,
            env=plain | QUIET,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_until_up(process, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def check(state: dict[str, Any]) -> None:
    assert {step: record["status"] for step, record in state["records"].items()} == {
        step: "completed" for step in ("fetch", "risk", "history", "advise")
    }
    assert state["failures"] == {}
    outputs = state["outputs"]
    assert outputs["fetch"]["account"]["name"] == "Larkspur Shipping"
    assert (outputs["risk"]["score"], outputs["risk"]["level"]) == (0.01, "low")
    assert "Larkspur Shipping (ACC-1042) is at low risk" in outputs["advise"]["text"]


def test_a_stateless_run_gives_the_outputs(host: str) -> None:
    given = {"input": {"account_id": "ACC-1042"}}
    check(ask(f"{host}/runs/wait", {"assistant_id": "account_analysis", "input": given}))


def test_a_run_on_a_thread_is_kept_by_the_host(host: str) -> None:
    thread = ask(f"{host}/threads", {})["thread_id"]
    given = {"input": {"account_id": "ACC-1042"}}
    order = {"assistant_id": "account_analysis", "input": given}
    check(ask(f"{host}/threads/{thread}/runs/wait", order))
    kept = ask(f"{host}/threads/{thread}/state")
    check(kept["values"])
    assert kept["next"] == []


def test_an_input_that_does_not_fit_ends_the_run_with_a_clear_error(host: str) -> None:
    order = {"assistant_id": "account_analysis", "input": {"input": {"account_id": "42"}}}
    answer = ask(f"{host}/runs/wait", order)
    assert answer["__error__"]["error"] == "InputInvalid"
    assert "account_id" in answer["__error__"]["message"]
