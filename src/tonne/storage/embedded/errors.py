"""What can go wrong with the embedded server, said to whoever runs the service."""


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be used; the message says why and what to do."""


class StillStartingError(EmbeddedPostgresError):
    """The server has not become ready in time but goes on recovering: it must not be stopped, only waited for."""
