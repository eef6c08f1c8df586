"""For customers' programs. Needs nothing of the service."""
