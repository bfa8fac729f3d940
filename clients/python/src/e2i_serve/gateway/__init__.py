"""HTTP for clients that cannot speak SQL. Routes and bodies here; what a score is, the server says.

`settings` reads what is allowed, `sessions` has the connections, `errors` turns SQLSTATEs into HTTP, `routes` and `inference` are the
protocols, `openapi` describes them, `server` puts them together.
"""

from .server import application, serve
from .settings import Settings

__all__ = ["Settings", "application", "serve"]
