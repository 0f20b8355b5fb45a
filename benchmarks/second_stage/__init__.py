"""A second stage over several recommenders, beside a blend of them and the best of them."""
