"""What the programs of this folder share: a client of the throw-away server, and how figures are written."""

import os
import pathlib
import platform
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", 9))
FEATURES = 30
CLIENT = [*sys.argv[1:], "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
NAMES = f"(SELECT array_agg('f' || i ORDER BY i) FROM generate_series(0, {FEATURES - 1}) i)"


def say(text):
    print(text, file=sys.stderr, flush=True)


def sql(script, client=None):
    """What a session prints; one that fails ends the run."""
    done = subprocess.run(client or CLIENT, input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def timed(before, queries, client=None):
    """In one session, after `before`: the milliseconds and the value of each query."""
    lines = sql("\n".join([before, "\\echo begin", "\\timing on", *(query + ";" for query in queries)]), client).splitlines()
    lines = lines[lines.index("begin") + 1 :]
    values = [line for line in lines if line and not line.startswith("Time:")]
    times = [float(line.split()[1]) for line in lines if line.startswith("Time:")]
    return list(zip(times, values, strict=True))


def on_processor(before, queries, client=None):
    """As `timed`, but the time that the backend was on a processor: others on the machine disturb less."""
    clock = "SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)"
    asked = [clock, *(statement for query in queries for statement in (query, clock))]
    values = [value for _, value in timed(before, asked, client)]
    clocks = [int(value) / 1e6 for value in values[::2]]
    return [(after - begun, value) for begun, after, value in zip(clocks, clocks[1:], values[1::2])]


def kept_open(script):
    """A session that has run the script and stays until it is closed with `communicate`."""
    session = subprocess.Popen(CLIENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    session.stdin.write(script + "\n\\echo ready\n")
    session.stdin.flush()
    for line in session.stdout:
        if line.strip() == "ready":
            return session
    sys.exit("a session ended early")


def register(name, path):
    sql(f"SELECT e2i_register_model('{name}', '\\x{path.read_bytes().hex()}', feature_names => {NAMES});")


def load_rows(count):
    """The rows as a CSV file, as columns (bench_row) and as arrays (bench_array)."""
    build("runtime_alone")
    rows = TARGET / "bench_rows.csv"
    with open(rows, "w", encoding="utf-8") as file:
        subprocess.run([example("runtime_alone"), "rows", str(count)], stdout=file, check=True)
    columns = ", ".join(f"f{i} float8" for i in range(FEATURES))
    names = ", ".join(f"f{i}" for i in range(FEATURES))
    sql("CREATE EXTENSION IF NOT EXISTS e2i_serve; DROP TABLE IF EXISTS bench_row, bench_array;")
    sql(f"CREATE TABLE bench_row ({columns});")
    with open(rows, encoding="utf-8") as file:
        if subprocess.run([*CLIENT, "-c", "COPY bench_row FROM STDIN CSV"], stdin=file, check=False).returncode:
            sys.exit("the rows were not loaded")
    sql(
        f"CREATE TABLE bench_array AS SELECT ARRAY[{names}] AS a FROM bench_row;"
        "VACUUM (FREEZE, ANALYZE) bench_row; VACUUM (FREEZE, ANALYZE) bench_array;"
    )
    return rows


def build(name):
    command = ["cargo", "build", "-q", "--release", "-p", "e2i_onnx", "--example", name]
    subprocess.run(command, cwd=HERE.parent, check=True)


def example(name):
    return TARGET / "release" / "examples" / name


def shown(values):
    """The least and, in brackets, the median."""
    ordered = sorted(values)
    return f"{ordered[0]:,.0f} ({ordered[len(ordered) // 2]:,.0f})"


def cpu(field="model name"):
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith(field):
            return line.split(":", 1)[1].strip()
    return platform.processor()
