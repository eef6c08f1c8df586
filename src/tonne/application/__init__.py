"""One file per use case: load, decide, store."""
