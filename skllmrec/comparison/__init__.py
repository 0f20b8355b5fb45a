"""Train and compare recommenders under one protocol."""
