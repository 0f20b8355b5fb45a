"""`skllmrec compare`: read tables, build the estimators, compare them, write the report."""
