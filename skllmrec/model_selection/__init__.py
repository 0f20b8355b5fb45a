"""Splitters of interactions."""
