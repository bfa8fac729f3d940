"""How near the server's scores are to the training library's, for people to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Parity:
    """A comparison of golden rows; rows count from 1."""

    rows: int
    outputs: int
    """How many outputs were compared, a row may have several."""
    greatest_difference: float
    """Absolute, over all numbers; 0 where only labels were compared."""
    worst_row: int | None
    """The row of the greatest difference; None where all are equal."""
    failures: int
    tolerance: float
    form: str
    origin: str
    """Where the rows come from: sample, input example, made up."""
    expected: str | None = None
    got: str | None = None
    """What the worst row has; None where all are equal."""
    tried: list[tuple[str, str]] = field(default_factory=list)
    """Forms that were refused before, and why."""

    @property
    def passed(self) -> bool:
        """Whether every output is within the tolerance."""
        return self.failures == 0

    def lines(self) -> list[str]:
        """The report, ending in PASS or FAIL."""
        lines = [f"tried {name}: {why}" for name, why in self.tried]
        lines += [f"form: {self.form}", f"rows: {self.rows} ({self.origin}), outputs compared: {self.outputs}"]
        if self.worst_row is None:
            lines.append("greatest difference: 0")
        else:
            lines.append(f"greatest difference: {self.greatest_difference:.3g}, in row {self.worst_row}")
            lines.append(f"  the library: {self.expected}, the server: {self.got}")
        lines.append(f"{'PASS' if self.passed else 'FAIL'} (tolerance {self.tolerance:g})")
        return lines


def parity(verified: list[dict[str, Any]], tolerance: float, form: str, origin: str, tried: list[tuple[str, str]]) -> Parity:
    """Of the rows that `e2i_verify_model` gives."""
    numbers = [row for row in verified if row["difference"] is not None]
    worst = max(numbers, key=lambda row: row["difference"], default=None)
    failed = next((row for row in verified if not row["ok"]), None)
    if failed is not None and (worst is None or worst["ok"]):
        worst = failed
    shown = worst if worst is not None and (worst["difference"] or not worst["ok"]) else None
    return Parity(
        rows=len({row["row"] for row in verified}),
        outputs=len(verified),
        greatest_difference=max((float(row["difference"]) for row in numbers), default=0.0),
        worst_row=shown["row"] if shown else None,
        failures=sum(not row["ok"] for row in verified),
        tolerance=tolerance,
        form=form,
        origin=origin,
        expected=shown["expected"] if shown else None,
        got=shown["got"] if shown else None,
        tried=tried,
    )
