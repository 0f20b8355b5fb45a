"""Graph propagation and losses of the recommenders that are trained by gradients."""
