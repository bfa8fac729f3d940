#!/usr/bin/env bash
# ONNX Runtime reports nothing to its makers: it leaves no file below the home of the server's user and starts no thread, in
# sessions, in try-outs, and in the workers that probe a service.
source "$(dirname "$0")/common.sh"

in_world mkdir -p "$NODES/a/home"
SERVER_ENVIRONMENT=("HOME=$NODES/a/home" "XDG_CACHE_HOME=$NODES/a/home/cache")
node a "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = 1s" "e2i_serve.engine = 'onnxruntime'"
written() { in_world find "$NODES/a/home" -mindepth 1 | wc -l; }
threads() { in_world cat "/proc/$1/status" | sed -n 's/^Threads:\s*//p'; }

sql a postgres "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS"
session scorer a postgres
ask scorer "SET client_min_messages = warning;" >/dev/null
is 'a try-out' "$(ask scorer "SELECT e2i_register_model('sum', plus(1), examples => '[{\"features\": [10], \"prediction\": 11}]');")" sum:1
is 'leaves nothing' "$(written)" 0
is 'a session' "$(ask scorer "SELECT e2i_predict('sum', ARRAY[10]);")" 11
is 'leaves nothing either' "$(written)" 0
is 'and has the one thread that looks for interrupts' "$(threads "$(ask scorer "SELECT pg_backend_pid();")")" 2

# What a try-out has when it scores: itself.
runtime_that a looks 9 "{ look(\"$NODES/a/notes\"); _exit(3); }"
sql a postgres "SET e2i_serve.onnxruntime_library = '$NODES/a/looks.so'; SELECT e2i_register_model('sum', plus(2));" >/dev/null 2>&1 || true
is 'a try-out has one thread' "$(in_world cat "$NODES/a/notes" | sed -n 's/^Threads:\s*//p')" 1

# A worker judges a service that nobody calls by its golden row, for which it loads the runtime.
wait_for a postgres "SELECT count(*) >= 2 AND max(health_status) = 'healthy' FROM ml_bentoml_serving_metrics, ml_bentoml_services WHERE requests = 0"
is 'workers leave nothing' "$(written)" 0
