"""Choosing among models on held-out interactions: scores of held-out items, pools of candidates, blending."""
