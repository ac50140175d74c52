"""What calls cost is told from the deployment's own prices or the installed price list."""

import json
import subprocess
import sys
from typing import Any

import pytest

from stretto.agents.models.prices import usd_of
from stretto.config import ModelSettings

MILLION = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
OWN = ModelSettings(usd_per_million_input=2, usd_per_million_output=6)


def test_a_known_model_has_its_listed_price() -> None:
    assert usd_of("gpt-4.1-mini", "openai", MILLION) == pytest.approx(2.0)
    assert usd_of("gpt-4.1-mini-2025-04-14", "openai", MILLION) == pytest.approx(2.0)
    assert usd_of("openai:gpt-4.1-mini", None, MILLION) == pytest.approx(2.0)


def test_what_comes_from_a_cache_costs_less() -> None:
    cached = {**MILLION, "input_token_details": {"cache_read": 1_000_000}}
    assert usd_of("gpt-4.1-mini", "openai", cached) == pytest.approx(1.7)


@pytest.mark.parametrize(
    ("name", "provider"),
    [("tiny-1", "openai"), ("gpt-4.1-mini", "nobody"), ("gpt-4.1-mini", None), ("ollama:x", None)],
)
def test_a_price_that_nobody_knows_is_none(name: str, provider: str | None) -> None:
    assert usd_of(name, provider, MILLION) is None


def test_figures_that_contradict_each_other_have_no_price() -> None:
    odd = {"input_tokens": 1, "output_tokens": 1, "input_token_details": {"cache_read": 9}}
    assert usd_of("gpt-4.1-mini", "openai", odd) is None


@pytest.mark.parametrize("name", ["offline", "offline:20", "recorded:calls.jsonl"])
def test_what_asks_nobody_costs_nothing(name: str) -> None:
    assert usd_of(name, None, MILLION) == 0.0


@pytest.mark.parametrize(
    ("settings", "usd"),
    [
        (OWN, 8.0),
        (ModelSettings(usd_per_million_input=2), 2.0),
        (ModelSettings(usd_per_million_output=0), 0.0),
        (ModelSettings(timeout=5), 2.0),
    ],
)
def test_own_prices_come_first(settings: ModelSettings, usd: float) -> None:
    assert usd_of("gpt-4.1-mini", "openai", MILLION, settings) == pytest.approx(usd)


@pytest.mark.parametrize("provider", ["bedrock", "bedrock_converse", "anthropic_bedrock"])
def test_a_model_is_priced_as_its_provider_sells_it(provider: str) -> None:
    name = "anthropic.claude-3-5-sonnet-20240620-v1:0"
    assert usd_of(name, provider, MILLION) == pytest.approx(18.0)


PROGRAM = """
import json, sys, threading
reached = []
sys.addaudithook(lambda event, args: reached.append(event) if event.startswith("socket.") else None)
from stretto.agents.models.prices import usd_of
usd = usd_of("gpt-4.1-mini", "openai", {"input_tokens": 1, "output_tokens": 1})
print(json.dumps([usd, reached, threading.active_count()]))
"""


def test_the_price_list_is_never_fetched() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    found: list[Any] = json.loads(done.stdout)
    usd, reached, threads = found
    assert usd > 0
    assert reached == []
    assert threads == 1
