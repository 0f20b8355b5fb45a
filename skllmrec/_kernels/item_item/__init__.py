"""Matrices of item-to-item weights: autoencoders, neighbours, transitions."""
