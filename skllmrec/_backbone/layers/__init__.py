"""Layers that replace those of a loaded language model: packed and 8-bit linear layers."""
