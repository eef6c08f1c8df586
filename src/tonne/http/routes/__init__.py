"""One file per resource; each handler parses, calls and renders."""
