"""``python -m e2i_serve`` is the command ``e2i-serve``."""

from .cli import app

app(prog_name="e2i-serve")
