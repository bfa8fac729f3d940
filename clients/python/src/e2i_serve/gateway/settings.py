"""What an administrator decides of a gateway."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import E2iError


@dataclass(frozen=True)
class Settings:
    """Everything has a limit; nothing is open to everybody unless it is said."""

    to: str = ""
    """Connection string of the role that the gateway logs in as; a member of the roles that keys stand for."""
    keys: dict[str, str] = field(default_factory=dict)
    """API keys and the role that each stands for. Scoring is done with that role's rights."""
    anonymous_role: str | None = None
    """The role of requests without a key; None refuses them."""
    model: str | None = None
    """What ``POST /predict``, ``/predict_batch`` and ``/invocations`` mean where a payload does not say."""
    max_body: int = 8 * 1024 * 1024
    """The largest body in bytes; a larger one is answered 413."""
    timeout: float = 10.0
    """Seconds that a statement may take, and that a request may wait for a connection; then 504 and 503."""
    connections: int = 8
    """Connections a process."""
    grace: float = 10.0
    """Seconds that requests under way may take when the gateway is stopped."""

    def role_of(self, key: str | None) -> str | None:
        """The role that a request is made with; None refuses it."""
        if key is None:
            return self.anonymous_role
        return self.keys.get(key)


def read_keys(path: Path | None) -> dict[str, str]:
    """A JSON file of keys and roles, ``{"key": "role"}``, that nobody else may read."""
    if path is None:
        return {}
    if not path.exists():
        raise E2iError(f"there is no file {path}")
    if path.stat().st_mode & 0o077:
        raise E2iError(f"{path} holds keys and may be read by others: chmod 600 {path}")
    try:
        keys = json.loads(path.read_text())
    except ValueError as problem:
        raise E2iError(f"{path} is not JSON: {problem}") from None
    if not isinstance(keys, dict) or not all(isinstance(role, str) and len(key) >= 16 for key, role in keys.items()):
        raise E2iError(f'{path} is not {{"key": "role", …}} with keys of 16 characters or more')
    return keys
