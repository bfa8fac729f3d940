"""One round of `bench/native` with the library that trained a model: `libraries.py MODEL ROWS.f32 SCORES`.

Prints `all SIDE NANOSECONDS` a row of every call with all rows on one thread, of its own time on a processor, and fails
when a score differs in a bit from those that the native engine left in SCORES. Run by the Python that E2I_BENCH_PYTHON names.
"""

import sys
import time

import numpy as np

PASSES = 3
FEATURES = 30


def xgboost(path):
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=path)
    return "xgboost", np.float32, lambda rows: booster.inplace_predict(rows)


def lightgbm(path):
    import lightgbm

    booster = lightgbm.Booster(model_file=path)
    return "lightgbm", np.float64, lambda rows: booster.predict(rows, num_threads=1)


def main():
    path, rows, scores = sys.argv[1:]
    side, element, predict = (xgboost if path.endswith(".ubj") else lightgbm)(path)
    rows = np.fromfile(rows, np.float32).reshape(-1, FEATURES).astype(element)
    native = np.fromfile(scores, element)
    if not np.array_equal(predict(rows).ravel(), native):
        sys.exit(f"{path}: the native scores are not those of {side}")
    for _ in range(PASSES):
        begun = time.thread_time_ns()
        predict(rows)
        print("all", side, (time.thread_time_ns() - begun) / len(rows))


if __name__ == "__main__":
    main()
