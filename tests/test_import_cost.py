"""The front door is light: ``import stretto`` loads nothing heavy."""

import json
import subprocess
import sys

import pytest

HEAVY = (
    "alembic",
    "cel_expr_python",
    "fastapi",
    "httpx2",
    "jsonschema",
    "langchain_core",
    "langchain_openai",
    "langgraph",
    "openai",
    "pydantic",
    "pydantic_settings",
    "qdrant_client",
    "qdrant_edge",
    "rich",
    "sqlalchemy",
    "typer",
    "yaml",
)


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    # -I keeps the caller's PYTHONPATH and working directory out of the fresh interpreter.
    program = "import json, sys, stretto; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_the_package_itself_is_loaded(loaded: set[str]) -> None:
    assert "stretto" in loaded


@pytest.mark.parametrize("library", HEAVY)
def test_importing_stretto_does_not_load(loaded: set[str], library: str) -> None:
    assert library not in loaded
