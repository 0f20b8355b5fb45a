"""What happens to text and tables before they are encoded."""
