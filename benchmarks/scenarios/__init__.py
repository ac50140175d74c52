"""What is measured, by letter."""

from benchmarks.scenarios.guards import measure_breaker, measure_dispatch
from benchmarks.scenarios.makespan import measure_out_of_phase, measure_random_layers
from benchmarks.scenarios.models import measure_model_tokens
from benchmarks.scenarios.overhead import measure_chains, measure_fan_out
from benchmarks.scenarios.plan import Scenario
from benchmarks.scenarios.startup import measure_compilation, measure_import
from benchmarks.scenarios.storage import measure_storage
from benchmarks.scenarios.streaming import measure_tokens
from benchmarks.scenarios.throughput import measure_concurrent_runs

SCENARIOS: dict[str, Scenario] = {
    "a": measure_out_of_phase,
    "b": measure_random_layers,
    "c": measure_chains,
    "d": measure_fan_out,
    "e": measure_concurrent_runs,
    "f": measure_tokens,
    "g": measure_storage,
    "h": measure_import,
    "i": measure_compilation,
    "j": measure_dispatch,
    "k": measure_breaker,
    "l": measure_model_tokens,
}
