"""The "HCP" table: made-up healthcare professionals with mixed column types.

Everything comes from one seed, so the same call always gives the same table.
Float columns hold numbers that float32 can represent, because most ONNX graphs
read float32 and the training library must see exactly the same numbers.
"""

import numpy as np
import pandas as pd

SPECIALTIES = ["Cardiology", "Dermatology", "Endocrinology", "Neurology", "Oncology", "Primary Care"]
REGIONS = ["Midwest", "Northeast", "South", "West"]

# Column name -> SQL type, in the order that the models take them.
COLUMNS = {
    "specialty": "text",
    "region": "text",
    "years_in_practice": "integer",
    "tenure_months": "integer",
    "patient_volume": "bigint",
    "calls_last_quarter": "integer",
    "engagement_score": "float8",
    "rx_last_quarter": "float4",
    "is_kol": "boolean",
}
TEXTS = ["specialty", "region"]
INTEGERS = ["years_in_practice", "tenure_months", "patient_volume", "calls_last_quarter"]
FLOATS = ["engagement_score", "rx_last_quarter"]
NUMERIC = INTEGERS + FLOATS


def hcp_table(rows, seed):
    """A table of `rows` professionals: the features of COLUMNS, then two targets.

    `churned` (0/1) is more likely for low engagement, few calls, short tenure
    and low prescribing; `rx_next_quarter` is a number that follows
    `rx_last_quarter`. About 5 % of `engagement_score` and 10 % of
    `rx_last_quarter` is missing (NaN), after the targets are drawn.
    """
    rng = np.random.default_rng(seed)
    specialty = rng.choice(SPECIALTIES, rows, p=[0.15, 0.12, 0.13, 0.13, 0.17, 0.30])
    region = rng.choice(REGIONS, rows, p=[0.22, 0.26, 0.30, 0.22])
    years = rng.integers(1, 41, rows)
    tenure = np.minimum(rng.integers(1, 121, rows), years * 12)
    volume = np.maximum(20, rng.gamma(4.0, 90.0, rows)).astype(np.int64)
    calls = rng.poisson(4.0, rows)
    engagement = np.round(rng.beta(2.5, 2.5, rows) * 100.0, 1)
    is_kol = rng.random(rows) < 0.04 + 0.004 * years
    per_patient = np.where(specialty == "Endocrinology", 0.30, np.where(specialty == "Oncology", 0.22, 0.12))
    rx_last = np.round(np.maximum(0.0, volume * per_patient * (0.5 + engagement / 100.0) + rng.normal(0, 6, rows)), 1)
    signal = (
        1.6
        - 0.045 * engagement
        - 0.22 * calls
        - 0.012 * tenure
        - 0.012 * rx_last
        - 0.9 * is_kol
        + 0.012 * years
        + 0.5 * (region == "South")
        + 0.7 * (specialty == "Primary Care")
        + 1.4
    )
    churned = (rng.random(rows) < 1.0 / (1.0 + np.exp(-signal))).astype(np.int64)
    rx_next = np.round(np.maximum(0.0, rx_last * (0.9 + 0.03 * calls) - 10.0 * churned + rng.normal(0, 4, rows)), 1)
    engagement[rng.random(rows) < 0.05] = np.nan
    rx_last[rng.random(rows) < 0.10] = np.nan
    return pd.DataFrame(
        {
            "specialty": specialty,
            "region": region,
            "years_in_practice": years.astype(np.int64),
            "tenure_months": tenure.astype(np.int64),
            "patient_volume": volume,
            "calls_last_quarter": calls.astype(np.int64),
            "engagement_score": engagement.astype(np.float32).astype(np.float64),
            "rx_last_quarter": rx_last.astype(np.float32).astype(np.float64),
            "is_kol": is_kol,
            "churned": churned,
            "rx_next_quarter": rx_next,
        }
    )


def customers(rows, seed):
    """The demo table: `id` and the columns of COLUMNS, as written to customers.csv."""
    table = hcp_table(rows, seed)[list(COLUMNS)]
    for name in FLOATS:
        # One decimal is what was measured; float32 noise does not belong in a demo.
        table[name] = table[name].round(1)
    table["is_kol"] = table["is_kol"].map({True: "true", False: "false"})
    table.insert(0, "id", np.arange(1, rows + 1))
    return table
