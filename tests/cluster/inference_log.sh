#!/usr/bin/env bash
# The inference log with the library preloaded: written by the background worker, from parallel workers, read-only sessions and
# a promoted standby; nothing is lost at a shutdown, old days go, and a dump brings it back.
source "$(dirname "$0")/common.sh"

node a "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = '1h'" "e2i_serve.inference_log_buffer = '64MB'" \
    "max_parallel_workers_per_gather = 2" "min_parallel_table_scan_size = 0" "parallel_setup_cost = 0" "parallel_tuple_cost = 0"
sql a postgres 'CREATE DATABASE shop;'
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));
    CREATE TABLE numbers AS SELECT ARRAY[i]::float4[] AS x FROM generate_series(1, 10000) i; ANALYZE numbers;
    SELECT FROM e2i_set_inference_log('sum', sample => 1);"
# The intervals are an hour apart: what comes is written because it is there.
logged() { wait_for a shop "SELECT count(*) = $1 FROM ml_inference_log"; }

sql a shop "SELECT e2i_predict('sum', ARRAY[41])" >/dev/null
logged 1
is 'a row, soon after it was scored' "$(sql a shop 'SELECT service_name, model_version, prediction, caller FROM ml_inference_log')" 'sum|1|42|postgres'
like 'a parallel plan' "$(sql a shop "EXPLAIN SELECT sum(e2i_predict('sum', x)) FROM numbers")" '*Workers Planned: 2*'
is 'parallel workers' "$(sql a shop "BEGIN READ ONLY; SELECT sum(e2i_predict('sum', x)) FROM numbers; COMMIT;")" 50015000
logged 10001
is 'every row once' "$(sql a shop 'SELECT count(DISTINCT features), count(DISTINCT request_id), sum(prediction) FROM ml_inference_log')" '10000|10001|50015042'

# Rows are explained by the worker, too; why some are not is said once.
sql a shop "SELECT FROM e2i_set_inference_log('sum', sample => 1, explain => true)"
for i in 1 2; do
    sql a shop "SELECT e2i_predict('sum', ARRAY[41])" >/dev/null
    logged "10001 + $i"
    sleep 0.8
done
is 'a version without rows to compare with is not explained' "$(sql a shop 'SELECT count(*) FROM ml_shap_analyses')" 0
is 'and that is said once' "$(outside grep -c 'rows of model sum:1 in the inference log are not explained: model sum:1 has no background' "$HOST_NODES/a/server.log")" 1
sql a shop "SELECT FROM e2i_set_background('sum', 'SELECT 1 AS x UNION ALL SELECT 3')"
sql a shop "SELECT e2i_predict('sum', ARRAY[41])" >/dev/null
wait_for a shop 'SELECT count(*) = 1 FROM ml_shap_analyses'
is 'a row, why it has its score' "$(sql a shop 'SELECT prediction, base_value, local_shap_values FROM ml_inference_log JOIN ml_shap_analyses USING (request_id, model_version)')" '42|3|{"x": 39.0}'
sql a shop "SELECT FROM e2i_set_inference_log('sum', sample => 1)"

# Many writers: what is not logged is counted as dropped.
cat <<'SQL' | in_world tee "$NODES/calls.sql" >/dev/null
\set x random(1, 1000)
SELECT e2i_predict('sum', ARRAY[:x]);
SQL
sql a shop 'TRUNCATE ml_inference_log'
at a pgbench -n -c 16 -j 2 -t 500 -f "$NODES/calls.sql" shop >/dev/null 2>&1
dropped=$(sql a shop "SELECT substring(e2i_prometheus_metrics() FROM 'e2i_inference_log_dropped_total (\\d+)')")
logged "8000 - $dropped"
is '16 clients, 500 calls each: logged or counted as dropped' "$(sql a shop "SELECT count(*) + $dropped FROM ml_inference_log")" 8000

# --- a shutdown loses nothing -------------------------------------------------------------------------------------------

sql a shop 'TRUNCATE ml_inference_log'
session holder a shop
ask holder 'BEGIN; LOCK TABLE ml_inference_log IN ACCESS EXCLUSIVE MODE;' >/dev/null
sql a shop "SELECT count(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, 5) i" >/dev/null
node_stop a
node_start a
logged 5
is 'records that waited at a shutdown' "$(sql a shop 'SELECT sum(prediction) FROM ml_inference_log')" 20
node_stop a
node_start a
sleep 0.8
is 'and not twice' "$(sql a shop 'SELECT count(*) FROM ml_inference_log')" 5

# --- who is in the way, and who is gone ---------------------------------------------------------------------------------

sql a shop 'TRUNCATE ml_inference_log'
session locker a shop
ask locker 'BEGIN; LOCK TABLE ml_inference_log IN ACCESS EXCLUSIVE MODE;' >/dev/null
sql a shop "SELECT count(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, 4) i" >/dev/null
timeouts() { outside grep -c 'canceling statement due to lock timeout' "$HOST_NODES/a/server.log" || true; }
for ((i = 0; i < 200; i++)); do if (($(timeouts) > 0)); then break; fi; sleep 0.1; done
is 'a worker does not wait for long' "$(($(timeouts) > 0))" 1
ask locker 'COMMIT;' >/dev/null
logged 4
is 'and loses nothing' "$(sql a shop 'SELECT sum(prediction) FROM ml_inference_log')" 14

DROPPED="SELECT substring(e2i_prometheus_metrics() FROM 'e2i_inference_log_dropped_total (\\d+)')::int"
before=$(sql a shop "$DROPPED")
sql a postgres 'CREATE DATABASE brief'
sql a brief "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1)); SELECT FROM e2i_set_inference_log('sum', sample => 1);"
sql a brief "SET e2i_serve.allow_drop = on; BEGIN; LOCK TABLE ml_inference_log; SELECT e2i_predict('sum', ARRAY[1]); DROP EXTENSION e2i_serve CASCADE; COMMIT;" >/dev/null 2>&1
wait_for a shop "SELECT ($DROPPED) = $before + 1"
is 'records of an extension that is gone are given up' "$(sql a shop "$DROPPED")" "$((before + 1))"

# --- old days go ------------------------------------------------------------------------------------------------------------

sql a shop 'SELECT FROM e2i_flush_metrics()'
sql a shop "DO \$\$ BEGIN EXECUTE format('CREATE TABLE ml_inference_log_%s PARTITION OF ml_inference_log FOR VALUES FROM (%L) TO (%L)',
    to_char(now() at time zone 'UTC' - interval '40 days', 'YYYYMMDD'), date_trunc('day', now() at time zone 'UTC' - interval '40 days')::text || '+00',
    date_trunc('day', now() at time zone 'UTC' - interval '39 days')::text || '+00'); END \$\$"
PARTITIONS="SELECT count(*) FROM pg_inherits WHERE inhparent = 'ml_inference_log'::regclass"
is 'partitions of today, of tomorrow and of forty days ago' "$(sql a shop "$PARTITIONS")" 3
sql a shop 'SELECT FROM e2i_flush_metrics()'
is 'the old one is dropped' "$(sql a shop "$PARTITIONS")" 2

# --- a dump ---------------------------------------------------------------------------------------------------------------------

at a pg_dump -Fc -f "$NODES/shop.dump" shop
sql a postgres 'CREATE DATABASE again'
at a pg_restore -d again "$NODES/shop.dump"
is 'a dump brings it back' "$(sql a again 'SELECT count(*), sum(prediction) FROM ml_inference_log; SELECT service_name, sample FROM ml_inference_log_policies;')" $'4|14\nsum|1'
sql a again "SELECT e2i_predict('sum', ARRAY[1])" >/dev/null
wait_for a again 'SELECT count(*) = 5 FROM ml_inference_log'
is 'and it goes on there' "$(sql a again 'SELECT count(*) FROM ml_inference_log')" 5
sql a again 'SET e2i_serve.allow_drop = on; DROP EXTENSION e2i_serve CASCADE' 2>/dev/null
is 'the extension goes with its partitions' "$(sql a again "SELECT count(*) FROM pg_class WHERE relname LIKE 'ml_inference_log%'")" 0

# --- a standby ---------------------------------------------------------------------------------------------------------------------

in_world pg_basebackup -h "$NODES/a" -U postgres -D "$NODES/b/data" -R -c fast -X stream
node_settings b "hot_standby = on"
node_start b
sql b shop "SELECT count(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, 3) i" >/dev/null
sleep 0.8
is 'a standby keeps its records' "$(sql b shop 'SELECT count(*) FROM ml_inference_log')" 4
at b pg_ctl -D "$NODES/b/data" promote -w >/dev/null
wait_for b shop 'SELECT count(*) = 7 FROM ml_inference_log'
is 'and writes them when it is promoted' "$(sql b shop 'SELECT count(*) FROM ml_inference_log')" 7
is 'nobody met an error' "$(outside grep -hE 'ERROR|PANIC|FATAL' "$HOST_NODES/a/server.log" "$HOST_NODES/b/server.log" | grep -vE 'terminating|starting up|shutting down|lock timeout' || true)" ''
