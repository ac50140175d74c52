"""Runs: start, events, status, result, cancel, resume and retry."""
