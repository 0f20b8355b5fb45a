"""Vectors written to files and arrays of the caller (`out=`)."""
