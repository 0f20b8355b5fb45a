"""Benchmarks: every claim of the documentation about speed or accuracy is the output of one of these modules."""
