"""Documented forms that say in another shape what the canonical form says."""
