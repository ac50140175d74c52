"""What memory costs; run ``python -m benchmarks.memory``."""
