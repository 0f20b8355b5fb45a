"""Kernels of recommenders that read a history in order: events, inputs, states, losses."""
