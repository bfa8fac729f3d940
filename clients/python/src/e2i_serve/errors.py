"""What can go wrong on the client's side; errors of the server stay psycopg's."""

from __future__ import annotations


class E2iError(Exception):
    """A problem that a user can do something about; the message says what."""


class NotInstalled(E2iError):
    """A library that an optional part needs is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed: pip install 'e2i-serve[{extra}]'")


class Refused(E2iError):
    """A model that was not registered, because no form of it scores its golden rows as the training library does."""
