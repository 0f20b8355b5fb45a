"""Tables that others have published, rebuilt, with the recommenders of this package beside them."""
