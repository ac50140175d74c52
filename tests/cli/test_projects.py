"""init and doctor."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.fakes.redis_server import running_redis

Command = Callable[..., subprocess.CompletedProcess[str]]
WRITTEN = {"workflow.yaml", "agents.py", "stretto.toml", ".env.example", "README.md"}


def closed_port() -> int:
    """Give a port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_init_writes_a_project_that_runs_offline(stretto: Command, project: Path) -> None:
    made = stretto("init", "new/one")
    folder = project / "new" / "one"
    assert (made.returncode, made.stdout) == (0, "")
    assert {path.name for path in folder.iterdir()} == WRITTEN
    done = subprocess.run(
        [sys.executable, "-m", "stretto", "run", "workflow.yaml", "--json"],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
    )
    result = json.loads(done.stdout)
    assert (done.returncode, done.stderr, result["status"]) == (0, "", "completed")
    assert result["output"]["urgent"] == ["Export to CSV is broken since the last update."]
    assert "Export to CSV is broken" in result["output"]["digest"]
    checked = stretto("validate", "new/one/workflow.yaml")
    assert checked.stdout == "ok review_digest 1.0.0 (4 steps)\n"


def test_init_overwrites_nothing(stretto: Command, project: Path) -> None:
    before = (project / "agents.py").read_bytes()
    done = stretto("init", ".")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "agents.py already" in done.stderr
    assert (project / "agents.py").read_bytes() == before
    assert not (project / "workflow.yaml").exists()


def test_doctor_is_content_with_a_plain_installation(stretto: Command) -> None:
    done = stretto("doctor")
    assert (done.returncode, done.stderr) == (0, "agents are loaded\n")
    levels = {line.split()[0] for line in done.stdout.splitlines()}
    assert levels == {"ok"}
    assert "agents.py has 4 agents" in done.stdout
    assert "qdrant" not in done.stdout


def test_doctor_says_what_fails_and_what_to_do(stretto: Command, project: Path) -> None:
    (project / "agents.py").write_text("import absent_thing\n", encoding="utf-8")
    (project / "kept").write_text("no folder", encoding="utf-8")
    port = closed_port()
    done = stretto(
        "doctor",
        STRETTO_HOME="kept",
        STRETTO_MODEL="openai:x",
        REDIS_URL=f"redis://127.0.0.1:{port}",
    )
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("fail")]
    assert (done.returncode, failed) == (1, ["home", "model", "agents", "redis"])
    assert f"127.0.0.1:{port} cannot be used" in done.stdout
    assert "set OPENAI_API_KEY" in done.stdout
    assert "line 1" in done.stdout


def test_doctor_reports_settings_that_cannot_be_read(stretto: Command, project: Path) -> None:
    (project / "stretto.toml").write_text("[stretto]\nhmoe = 'x'\n", encoding="utf-8")
    done = stretto("doctor")
    assert done.returncode == 1
    assert "fail  settings" in done.stdout
    assert "Did you mean 'home'?" in done.stdout


def test_doctor_opens_the_model_that_is_set_and_tries_its_address(
    stretto: Command, project: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        (project / "stretto.toml").write_text(
            '[stretto]\nmodel = "openai:tiny-1"\n[stretto.models."openai:tiny-1"]\n'
            f'api_key = "key-1"\nbase_url = "{url}"\n',
            encoding="utf-8",
        )
        content = stretto("doctor", NO_PROXY="*")
    refused = stretto("doctor", NO_PROXY="*")
    assert "ok    model       openai:tiny-1, key is set" in content.stdout
    assert (content.returncode, refused.returncode) == (0, 1)
    assert f"fail  model       the model endpoint {url} cannot be reached" in refused.stdout


def test_doctor_asks_the_redis_that_is_configured(stretto: Command) -> None:
    with running_redis() as server:
        done = stretto("doctor", REDIS_URL=server.url)
    levels = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines()}
    assert (done.returncode, levels["redis"]) == (0, "ok")
