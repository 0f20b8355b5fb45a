"""What the benchmarks share: measuring, tables, synthetic data."""
