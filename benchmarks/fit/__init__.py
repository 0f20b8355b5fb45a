"""Training speed against peers."""
