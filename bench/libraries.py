"""One round of `bench/native` with the library that trained a model: `libraries.py MODEL ROWS.f32 SCORES FEATURES`.

Prints `BATCH SIDE NANOSECONDS` a row of every pass on one thread, of its own time on a processor: all rows in one call, 1,024
a call, and one a call, of which fewer are tried. Fails when a score differs in a bit from those that the native engine left in SCORES. Run by the Python that E2I_BENCH_PYTHON names.
"""

import pathlib
import sys
import time

import numpy as np

PASSES = 3
ONE_BY_ONE = 500


def xgboost(path):
    import xgboost

    booster = xgboost.Booster({"nthread": 1}, model_file=path)
    return "xgboost", np.float32, lambda rows: booster.inplace_predict(rows)


def lightgbm(path):
    import lightgbm

    booster = lightgbm.Booster(model_file=path)
    return "lightgbm", np.float64, lambda rows: booster.predict(rows, num_threads=1)


def sklearn(path):
    import skops.io

    model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    return "sklearn", np.float64, model.set_params(n_jobs=1).predict_proba


LIBRARIES = {".ubj": xgboost, ".txt": lightgbm, ".skops": sklearn}


def main():
    path, rows, scores, features = sys.argv[1:]
    side, element, predict = LIBRARIES[pathlib.Path(path).suffix](path)
    rows = np.fromfile(rows, np.float32).reshape(-1, int(features)).astype(element)
    native = np.fromfile(scores, element)
    if not np.array_equal(predict(rows).ravel(), native):
        sys.exit(f"{path}: the native scores are not those of {side}")
    for _ in range(PASSES):
        for name, batch, some in (("all", len(rows), rows), ("1024", 1024, rows), ("1", 1, rows[:ONE_BY_ONE])):
            begun = time.thread_time_ns()
            for start in range(0, len(some), batch):
                predict(some[start : start + batch])
            print(name, side, (time.thread_time_ns() - begun) / len(some))


if __name__ == "__main__":
    main()
