"""What outlives a step: checkpointers and caches."""
