"""Makes skops/hcp_churn.skops: the pipeline of hcp_churn.onnx, as skops saves it.

    python3.11 -m venv venv && venv/bin/pip install scikit-learn==1.7.2 numpy==2.2.6 scipy==1.17.1 pandas==2.3.3 skops==0.13.0
    venv/bin/python make_hcp_skops.py
"""

import zipfile
from pathlib import Path

import hcp_data
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

table = hcp_data.hcp_table(1600, seed=20240)
x, rest, y, _ = train_test_split(table[list(hcp_data.COLUMNS)], table["churned"], test_size=0.25, random_state=7)
prepare = ColumnTransformer([
    ("floats", Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())]), hcp_data.FLOATS),
    ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), hcp_data.TEXTS),
    ("integers", "passthrough", hcp_data.INTEGERS),
    ("flags", "passthrough", ["is_kol"]),
])
model = Pipeline([("prepare", prepare), ("classify", LogisticRegression(C=0.5, max_iter=20000))]).fit(x, y)
path = Path(__file__).parent / "skops" / "hcp_churn.skops"
skops.io.dump(model, path, compression=zipfile.ZIP_DEFLATED, compresslevel=9)
print(path.stat().st_size, "bytes")
row = {"specialty": "Cardiology", "region": "West", "years_in_practice": 9, "tenure_months": 10, "patient_volume": 713,
       "calls_last_quarter": 4, "engagement_score": 60.4, "rx_last_quarter": 96.9, "is_kol": False}
print(row, model.predict_proba(x.iloc[:0].__class__([row]))[0, 1])
