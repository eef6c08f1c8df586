"""Sending events to endpoints: signed, and to no address that is not to be reached."""
