"""The API: parse, call one use case, render."""
