"""Numerical kernels: arrays in, arrays out, formula and source in each docstring."""
