"""The rules. Standard library only; no SQL, HTTP, clock, environment or randomness."""
