"""Models into PostgreSQL and scores out of it, for the e2i_serve extension.

`push` registers a model and proves that the server scores it as its library does; `score` scores a data frame.
The command line tool is ``e2i-serve``.
"""

from .errors import E2iError, NotInstalled, Refused
from .parity import Parity
from .push import Pushed, push
from .reading import describe, models, verify
from .report import report
from .scoring import score

__version__ = "0.2.0"
__all__ = ["E2iError", "NotInstalled", "Parity", "Pushed", "Refused", "__version__", "describe", "models", "push", "report", "score", "verify"]
