"""A second stage over candidates: folds of interactions, similarity to histories, a listwise linear model."""
