"""Alternating least squares: solving rows, sweeping over them, side features."""
