"""The claim of the method, on four data sets."""
