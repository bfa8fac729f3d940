#!/usr/bin/env bash
# What others see of a statement while it scores: EXPLAIN (ANALYZE) of parallel plans, with all their workers where the library
# is preloaded; and the wait event of a session that loads a model.
source "$(dirname "$0")/common.sh"

PARALLEL=("max_parallel_workers_per_gather = 2" "max_parallel_workers = 8" "max_worker_processes = 16" "min_parallel_table_scan_size = 0"
    "parallel_setup_cost = 0" "parallel_tuple_cost = 0")
node a "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = '1h'" "${PARALLEL[@]}"
node b "${PARALLEL[@]}"
for node in a b; do
    sql $node postgres "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));
        CREATE TABLE numbers AS SELECT ARRAY[i]::float4[] AS x FROM generate_series(1, 10000) i; ANALYZE numbers;
        CREATE FUNCTION explained(statement text, OUT models jsonb, OUT launched int) LANGUAGE plpgsql AS \$\$
        DECLARE said jsonb;
        BEGIN
            EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || statement INTO said;
            models := said #> '{0,Models}';
            launched := jsonb_path_query_first(said, '\$.**.\"Workers Launched\"');
        END \$\$;"
done
SCORING="SELECT sum(e2i_predict('sum', x)) FROM numbers"
ROWS="SELECT launched, jsonb_array_length(models), models #> '{0,Rows}' FROM explained(\$\$ $SCORING \$\$)"

# --- workers ---------------------------------------------------------------------------------------------------------------

lines() { sed -n 's/^ *Model/Model/p'; }
is 'the first statement of a session' "$(sql a postgres "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $SCORING" | lines)" 'Model sum:1 (native): rows=10000'
is 'every row of every worker' "$(sql a postgres "$ROWS")" '2|1|10000'
is 'workers alone' "$(sql a postgres "SET parallel_leader_participation = off; $ROWS")" '2|1|10000'
# Slowly, so that each of them has rows.
is 'each worker loads for itself' "$(sql a postgres "SET parallel_leader_participation = off;
    SELECT models #> '{0,Loads}', (models #> '{0,Load Time}')::float8 > 0, (models #> '{0,Time}')::float8 > 0
    FROM explained(\$\$ $SCORING WHERE pg_sleep(0.0001) IS NOT NULL \$\$)")" '2|t|t'
is 'two models' "$(sql a postgres "SELECT FROM e2i_register_model('more', plus(2));
    SELECT m -> 'Model', m -> 'Rows' FROM explained('SELECT sum(e2i_predict(''sum'', x) + e2i_predict(''more'', x)) FROM numbers WHERE x[1] <= 5000'), jsonb_array_elements(models) m")" \
    $'"more:1"|5000\n"sum:1"|5000'
is 'somebody who may only score' "$(sql a postgres "CREATE ROLE analyst LOGIN; SELECT FROM e2i_grant_usage('analyst', 'scorer'); GRANT SELECT ON numbers TO analyst;
    \\connect - analyst
    SET parallel_leader_participation = off; $ROWS")" '2|1|10000'
is 'explained inside of what is explained' "$(sql a postgres "SELECT models #> '{0,Rows}' FROM explained('SELECT models, e2i_predict(''sum'', ARRAY[1]) FROM explained(''SELECT sum(e2i_predict(''''sum'''', x)) FROM numbers'')')")" 10001

# Sessions at the same time do not mix.
cat <<SQL | in_world tee "$NODES/rows.sql" >/dev/null
SELECT 1 / (models #> '{0,Rows}' = '10000')::int FROM explained(\$\$ $SCORING \$\$);
SQL
is 'several at the same time' "$(at a pgbench -n -c 6 -j 2 -t 10 -f "$NODES/rows.sql" postgres 2>/dev/null | grep -c 'processed: 60/60')" 1

# An ERROR in a worker, in the leader, and the end of a session in the middle: nothing is left that others would count.
for ((i = 0; i < 20; i++)); do
    printf '%s\n' "SELECT FROM explained('SELECT sum(e2i_predict(''sum'', x) / (x[1] - 9000)) FROM numbers');"
done | at a psql -XAtq -d postgres >/dev/null 2>"$fifos/errors"
is 'errors in the middle' "$(grep -c 'division by zero' "$fifos/errors")" 20
for ((i = 0; i < 20; i++)); do
    at a psql -XAtq -d postgres -c "EXPLAIN (ANALYZE) SELECT e2i_predict('sum', x), pg_terminate_backend(pg_backend_pid()) FROM numbers" >/dev/null 2>&1 || true
done
is 'and after them' "$(sql a postgres "$ROWS")" '2|1|10000'

# Without shared memory workers cannot tell; it is said.
like 'not preloaded: the leader, and a note' "$(sql b postgres "SELECT FROM e2i_predict('sum', ARRAY[1]); EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $SCORING" | lines)" \
    'Model sum:1 (native): rows=* (without workers)'
is 'not preloaded, not parallel: all rows' "$(sql b postgres "SELECT FROM e2i_predict('sum', ARRAY[1]); SET max_parallel_workers_per_gather = 0;
    EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $SCORING" | lines)" 'Model sum:1 (native): rows=10000'

# --- the wait event --------------------------------------------------------------------------------------------------------

# A pipe in place of the runtime library: opening it takes until somebody writes into it.
in_world mkfifo "$NODES/a/slow.so"
if ((PG_MAJOR >= 17)); then event=E2iModelLoad; else event=Extension; fi
session loader a postgres
pid=$(ask loader 'SELECT pg_backend_pid();')
STATE="SELECT wait_event_type || ' ' || wait_event FROM pg_stat_activity WHERE pid = $pid"
ask loader "SET e2i_serve.engine = 'onnxruntime'; SET e2i_serve.onnxruntime_library = '$NODES/a/slow.so';" >/dev/null
tell loader "SELECT e2i_predict('sum', ARRAY[1]);"
wait_for a postgres "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid"
is 'a session that loads' "$(sql a postgres "$STATE")" "Extension $event"
in_world bash -c "echo no library >'$NODES/a/slow.so'"
like 'it has loaded' "$(answer loader)" 'ERROR:*cannot use*as ONNX Runtime*'
is 'and waits for its client' "$(sql a postgres "$STATE")" 'Client ClientRead'
