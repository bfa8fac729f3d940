"""Scoring a table by way of Python, beside `bench/jobs`: `round_trip.py make MODEL`, or `round_trip.py MODEL CLIENT…`.

COPY out as CSV, pandas, XGBoost on one thread, COPY into a new table, and UPDATE … FROM it. Prints two lines, without the UPDATE and
with it: milliseconds by the clock, and on a processor by all three of Python, psql and the backends. Run by the Python that
E2I_BENCH_PYTHON names.
"""

import io
import resource
import subprocess
import sys
import time

import numpy as np
import pandas
import xgboost

FEATURES = [f"f{i}" for i in range(30)]
CLOCK = "SELECT 'clock ' || split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)"


def make(path):
    random = np.random.default_rng(1)
    rows = (random.random((20_000, len(FEATURES))) * 4 - 2).astype(np.float32)
    outcome = (rows[:, :10].sum(axis=1) + random.standard_normal(len(rows)) > 0).astype(int)
    booster = xgboost.train(
        {"max_depth": 6, "objective": "binary:logistic", "seed": 1, "min_child_weight": 0, "nthread": 1},
        xgboost.DMatrix(rows, outcome, feature_names=FEATURES),
        num_boost_round=100,
    )
    booster.save_model(path)


def session(client, script, given=None):
    """What a session prints, and the nanoseconds that its backend was on a processor."""
    script = f"{script}\n{CLOCK};\n".encode()
    if given is not None:
        script = script.replace(b"@given@", given)
    done = subprocess.run(client, input=script, capture_output=True, check=True).stdout
    printed, _, clock = done.rpartition(b"clock ")
    return printed, int(clock)


def main(path, *client):
    booster = xgboost.Booster({"nthread": 1}, model_file=path)
    columns = ", ".join(FEATURES)
    begun, busy, backends = time.monotonic(), time.process_time(), 0

    def spent():
        psql = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = time.process_time() - busy + psql.ru_utime + psql.ru_stime
        print(round((time.monotonic() - begun) * 1000), round(own * 1000 + backends / 1e6))

    exported, clock = session(client, f"COPY (SELECT id, {columns} FROM j_rows) TO STDOUT CSV;")
    backends += clock
    rows = pandas.read_csv(io.BytesIO(exported), names=["id", *FEATURES], engine="c")
    scores = booster.inplace_predict(rows[FEATURES].to_numpy(np.float32))
    text = pandas.DataFrame({"id": rows["id"], "score": scores}).to_csv(header=False, index=False).encode()
    into = "DROP TABLE IF EXISTS j_round; CREATE TABLE j_round (id int, score float8); COPY j_round FROM STDIN CSV;\n@given@\\.\n"
    backends += session(client, into, text)[1]
    spent()
    backends += session(client, "UPDATE j_rows r SET score = s.score FROM j_round s WHERE s.id = r.id;")[1]
    spent()


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    main(*sys.argv[1:])
