"""Ranking metrics and scorers."""
