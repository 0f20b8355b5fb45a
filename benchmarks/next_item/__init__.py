"""Published questions of the next item: the recommenders of the package beside published figures."""
