"""Text encoding against its peers."""
