"""Recommenders: estimators on rows of interactions."""
