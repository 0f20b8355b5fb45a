"""Accuracy of the recommenders and their defaults."""
