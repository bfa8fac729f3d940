#!/usr/bin/env bash
# Counting with the library preloaded: every call of every session once, also of parallel workers; rows written by the
# background worker, in several databases, over restarts, crashes, renamed and dropped databases, and on a promoted standby.
source "$(dirname "$0")/common.sh"

# The interval is long where the script itself says when to write: what is counted then does not depend on the clock.
node a "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = '1h'" "restart_after_crash = on" "wal_level = replica" \
    "max_parallel_workers_per_gather = 2" "min_parallel_table_scan_size = 0" "parallel_setup_cost = 0" "parallel_tuple_cost = 0"
sql a postgres 'CREATE DATABASE shop; CREATE DATABASE bank;'
for database in shop bank; do
    sql a $database "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));
        CREATE TABLE numbers AS SELECT ARRAY[i]::float4[] AS x FROM generate_series(1, 10000) i; ANALYZE numbers;"
done

SEEN="SELECT coalesce(service, '-') || ' ' || requests || ' ' || predictions || ' ' || errors FROM e2i_serving_stats WHERE requests > 0 ORDER BY 1"
interval() { sql a postgres "ALTER SYSTEM SET e2i_serve.metrics_interval = '$1'; SELECT FROM pg_reload_conf();"; }

# --- every call once ----------------------------------------------------------------------------------------------------

sql a shop 'SELECT FROM e2i_serving_stats_reset()'
cat <<'SQL' | in_world tee "$NODES/calls.sql" >/dev/null
\set x random(1, 1000)
SELECT e2i_predict('sum', ARRAY[:x]);
SQL
is '20 clients, 1,000 transactions each' "$(at a pgbench -n -c 20 -j 2 -t 1000 -f "$NODES/calls.sql" shop 2>/dev/null | grep -c 'processed: 20000/20000'; sql a shop "$SEEN")" $'1\nsum 20000 20000 0'
sql a shop 'SELECT FROM e2i_serving_stats_reset()'
is '64 clients, 300 transactions each' "$(at a pgbench -n -c 64 -j 2 -t 300 -f "$NODES/calls.sql" shop 2>/dev/null | grep -c 'processed: 19200/19200'; sql a shop "$SEEN")" $'1\nsum 19200 19200 0'
cat <<'SQL' | in_world tee "$NODES/aborted.sql" >/dev/null
BEGIN;
SELECT e2i_predict('sum', ARRAY[1]), e2i_predict('sum', ARRAY[2]);
ROLLBACK;
SQL
at a pgbench -n -c 8 -j 2 -t 100 -f "$NODES/aborted.sql" shop >/dev/null 2>&1
is 'aborted transactions' "$(sql a shop "$SEEN")" 'sum 20800 20800 0'
is 'nothing of it in the other database' "$(sql a bank "$SEEN")" ''

sql a shop 'SELECT FROM e2i_serving_stats_reset()'
plan=$(sql a shop "EXPLAIN SELECT sum(e2i_predict('sum', x)) FROM numbers")
like 'a parallel plan' "$plan" '*Workers Planned: 2*'
is 'a parallel scan is one request' "$(sql a shop "SELECT sum(e2i_predict('sum', x)) FROM numbers"; sql a shop "$SEEN")" $'50015000\nsum 1 10000 0'
sql a shop "SELECT sum(e2i_predict('sum', x)) FROM numbers; SELECT sum(e2i_predict('sum', x)) FROM numbers WHERE x[1] <= 100;" >/dev/null
is 'and so is each of two more' "$(sql a shop "$SEEN")" 'sum 3 20100 0'

# A long statement is seen while it runs.
session long a shop
tell long "SELECT sum(e2i_predict('sum', x)), pg_sleep(0) FROM numbers, generate_series(1, 400);"
wait_for a shop "SELECT sum(predictions) > 21200 FROM e2i_serving_stats"
is 'a long statement while it runs' "$(sql a shop "SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series(1, 400)%' AND pid <> pg_backend_pid()")" t
sql a shop "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%generate_series(1, 400)%' AND pid <> pg_backend_pid()" >/dev/null
answer long >/dev/null

# What sessions hold in memory goes with them.
MEMORY="SELECT sessions || ' ' || (memory_bytes > 0) FROM e2i_serving_stats WHERE model = 'sum'"
ask long "SELECT e2i_predict('sum', ARRAY[1]);" >/dev/null
wait_for a shop "SELECT sessions = 1 FROM e2i_serving_stats WHERE model = 'sum'"
is 'one session holds the model' "$(sql a shop "$MEMORY")" '1 true'
sql a postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop' AND backend_type = 'client backend'" >/dev/null
wait_for a shop "SELECT sessions = 0 AND memory_bytes = 0 FROM e2i_serving_stats WHERE model = 'sum'"
is 'and no more' "$(sql a shop "$MEMORY")" '0 false'

# --- the background worker ------------------------------------------------------------------------------------------------

ROWS="SELECT count(*) || ' ' || sum(requests) || ' ' || sum(predictions) FROM ml_bentoml_serving_metrics"
sql a shop 'SELECT FROM e2i_serving_stats_reset(); SELECT FROM e2i_predict($$sum$$, ARRAY[1]);'
sql a bank 'SELECT count(e2i_predict($$sum$$, ARRAY[i])) FROM generate_series(1, 7) i;' >/dev/null
interval 200ms
wait_for a shop 'SELECT sum(requests) = 1 FROM ml_bentoml_serving_metrics'
wait_for a bank 'SELECT sum(predictions) = 7 FROM ml_bentoml_serving_metrics'
wait_for a shop 'SELECT count(*) > 5 FROM ml_bentoml_serving_metrics'
is 'each call in one row' "$(sql a shop 'SELECT sum(requests), sum(predictions) FROM ml_bentoml_serving_metrics')" '1|1'
interval 1h
sql a shop "SELECT e2i_predict('sum', ARRAY[1]); SELECT e2i_flush_metrics();" >/dev/null
is 'who called is healthy' "$(sql a shop 'SELECT service, health FROM e2i_services')" 'sum|healthy'

# A service that breaks is told of.
session listener a shop
ask listener 'LISTEN e2i_health;' >/dev/null
sql a shop "DO \$\$ BEGIN FOR i IN 1..20 LOOP BEGIN PERFORM e2i_predict('sum', '{\"y\": 1}'); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END \$\$"
sql a shop 'SELECT FROM e2i_flush_metrics()'
like 'a change of health is told' "$(ask listener 'SELECT;')" '*"e2i_health"*"service":"sum"*"from":"healthy","to":"unhealthy"*100.0 % of requests failed*'
is 'and kept as an event' "$(sql a shop "SELECT after, reason FROM ml_model_events WHERE action = 'health' ORDER BY id DESC LIMIT 1")" 'unhealthy|100.0 % of requests failed'
ask listener 'UNLISTEN *;' >/dev/null

# Databases come and go under it.
interval 200ms
sql a postgres 'ALTER DATABASE bank RENAME TO savings; CREATE DATABASE later; CREATE DATABASE gone;'
for database in later gone; do
    sql a $database "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1)); SELECT FROM e2i_predict('sum', ARRAY[1]);"
    wait_for a $database 'SELECT sum(requests) = 1 FROM ml_bentoml_serving_metrics'
done
sql a savings "SELECT FROM e2i_predict('sum', ARRAY[1])"
wait_for a savings 'SELECT sum(predictions) = 8 FROM ml_bentoml_serving_metrics'
is 'a renamed database' "$(sql a savings 'SELECT sum(predictions) FROM ml_bentoml_serving_metrics')" 8
interval 1h
for ((i = 0; i < 50; i++)); do if sql a postgres 'DROP DATABASE gone' 2>/dev/null; then break; fi; sleep 0.1; done
interval 200ms
sql a later "SET client_min_messages = warning; SET e2i_serve.allow_drop = on; DROP EXTENSION e2i_serve CASCADE; CREATE EXTENSION e2i_serve; SELECT FROM e2i_register_model('sum', plus(1)); SELECT FROM e2i_predict('sum', ARRAY[1]);"
wait_for a later 'SELECT sum(requests) >= 1 FROM ml_bentoml_serving_metrics'
is 'an extension that was created again' "$(sql a later 'SELECT count(DISTINCT service_id), sum(requests) FROM ml_bentoml_serving_metrics')" '1|1'
interval 1h

# --- restarts and crashes ----------------------------------------------------------------------------------------------------

back() { wait_for a shop "SELECT NOT pg_is_in_recovery() AND EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'e2i_serve metrics')"; }
sql a shop 'SELECT FROM e2i_serving_stats_reset(); SELECT FROM e2i_flush_metrics(); DELETE FROM ml_bentoml_serving_metrics;'
sql a shop "SELECT count(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, 5) i" >/dev/null
node_stop a
node_start a
back
is 'counters outlive a restart' "$(sql a shop "$SEEN")" 'sum 1 5 0'
sql a shop "SELECT FROM e2i_flush_metrics()"
is 'and are written once' "$(sql a shop "$ROWS")" '1 1 5'
node_stop a
node_start a
back
sql a shop "SELECT FROM e2i_flush_metrics()"
is 'also over another one' "$(sql a shop "$ROWS")" '2 1 5'

# kill -9 of a backend: the server starts anew; what was counted before the last interval is there.
kill_process() { in_world bash -c "kill -9 $1"; }
interval 200ms
wait_for a shop 'SELECT count(*) > 4 FROM ml_bentoml_serving_metrics'
interval 1h
sql a shop "SELECT count(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, 3) i" >/dev/null
for victim in backend worker; do
    session "victim_$victim" a shop
    pid=$(ask "victim_$victim" 'SELECT pg_backend_pid();')
    if [[ $victim == worker ]]; then pid=$(sql a shop "SELECT pid FROM pg_stat_activity WHERE backend_type = 'e2i_serve metrics' AND datname IS NULL"); fi
    kill_process "$pid"
    sleep 0.3
    back
    is "after kill -9 of a $victim" "$(sql a shop "$SEEN" | sed -E 's/^sum [12] [58] 0$/at most an interval behind/')" 'at most an interval behind'
    is "after kill -9 of a $victim: it counts on" "$(sql a shop "SELECT FROM e2i_serving_stats_reset(); SELECT FROM e2i_predict('sum', ARRAY[1]);"; sql a shop "$SEEN")" 'sum 1 1 0'
    sql a shop "SELECT count(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, 5) i" >/dev/null
    sql a shop 'SELECT FROM e2i_serving_stats_reset()'
    sql a shop "SELECT count(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, 5) i" >/dev/null
    interval 200ms
    sleep 1.2
    interval 1h
done
kill_process "$(outside head -n 1 "$HOST_NODES/a/data/postmaster.pid")"
# Its children notice; whoever started it may not have heard yet that it is gone.
for ((i = 0; i < 100; i++)); do
    if [[ ! $(outside find /proc -mindepth 2 -maxdepth 2 -name cwd -lname "$HOST_NODES/a/data" 2>/dev/null) ]]; then break; fi
    sleep 0.1
done
outside rm -f "$HOST_NODES/a/data/postmaster.pid" "$HOST_NODES/a/.s.PGSQL.5432.lock"
node_start a
back
is 'after kill -9 of the postmaster' "$(sql a shop "$SEEN")" 'sum 1 5 0'

# A file of counters that is cut is not an obstacle.
node_stop a
outside truncate -s 100 "$HOST_NODES/a/data/pg_stat_tmp/e2i_serve.stat"
node_start a
back
is 'a broken file: counters begin at zero' "$(sql a shop "$SEEN")" ''
is 'a broken file: the log says so' "$(outside grep -c 'counters in pg_stat_tmp/e2i_serve.stat cannot be read' "$HOST_NODES/a/server.log")" 1

# --- bounded -----------------------------------------------------------------------------------------------------------------------

node_settings a "e2i_serve.metrics_max = 16"
node_stop a
node_start a
sql a shop "SELECT e2i_deploy('sum:1', 'service ' || i) FROM generate_series(1, 30) i; SELECT e2i_predict('service ' || i, ARRAY[1]) FROM generate_series(1, 30) i;" >/dev/null
is 'more than there is room for' "$(sql a shop "SELECT count(*) < 16, sum(requests) < 30 FROM e2i_serving_stats WHERE service LIKE 'service%'")" 't|t'
# What found no place is not called healthy.
LATE="SELECT service FROM e2i_services WHERE service LIKE 'service%' AND service NOT IN (SELECT service FROM e2i_serving_stats WHERE service IS NOT NULL) LIMIT 1"
late=$(sql a shop "$LATE")
like 'who is not counted is not healthy' "$(sql a shop "SELECT status, requests, reason FROM e2i_health('$late')")" \
    'unknown|0|not all calls are counted: all 16 places among the counters are taken (e2i_serve.metrics_max)'
like 'is counted together' "$(sql a shop 'SELECT line FROM regexp_split_to_table(e2i_prometheus_metrics(), $$\n$$) line WHERE line ~ $$^e2i_requests_not_counted_total$$')" 'e2i_requests_not_counted_total 1*'

# A version that comes after many others is counted: the places of those that are gone are given to it.
sql a shop "SELECT e2i_undeploy('service ' || i) FROM generate_series(1, 30) i; SELECT FROM e2i_serving_stats_reset();" >/dev/null
for ((i = 1; i <= 12; i++)); do
    sql a shop "SET client_min_messages = warning; SELECT e2i_register_model('p', plus($i), deploy => true); SELECT count(e2i_predict('p', ARRAY[i])) FROM generate_series(1, 50) i;" >/dev/null
    sql a shop "SELECT FROM e2i_drop_model('p:$((i - 1))', force => true) WHERE $i > 1;" >/dev/null
    sql a shop 'SELECT FROM e2i_flush_metrics()'
done
is 'after more versions than places' "$(sql a shop "SELECT requests, predictions FROM e2i_serving_stats WHERE service = 'p' AND version = '12'; SELECT status FROM e2i_health('p');
    SELECT requests, predictions FROM ml_bentoml_serving_metrics m JOIN ml_bentoml_services s ON s.id = m.service_id WHERE bento_tag = 'p:12'")" $'1|50\nhealthy\n1|50'
is 'nothing was lost' "$(sql a shop 'SELECT line FROM regexp_split_to_table(e2i_prometheus_metrics(), $$\n$$) line WHERE line ~ $$^e2i_requests_not_counted_total$$')" 'e2i_requests_not_counted_total 0'
sql a shop "SELECT FROM e2i_drop_model('p:12', force => true)"

# --- a standby -----------------------------------------------------------------------------------------------------------------------

sql a postgres "ALTER SYSTEM RESET e2i_serve.metrics_interval; SELECT FROM pg_reload_conf();"
in_world pg_basebackup -h "$NODES/a" -U postgres -D "$NODES/b/data" -R -c fast -X stream
node_settings b "e2i_serve.metrics_interval = '200ms'" "e2i_serve.metrics_max = 1000"
node_start b
is 'a standby counts' "$(sql b shop "SELECT FROM e2i_predict('sum', ARRAY[1]);"; sql b shop "$SEEN")" 'sum 1 1 0'
sleep 0.6
is 'a standby writes nothing' "$(outside grep -c ERROR "$HOST_NODES/b/server.log" || true)" 0
at b pg_ctl -D "$NODES/b/data" promote -w >/dev/null
wait_for b shop "SELECT sum(requests) > 0 FROM ml_bentoml_serving_metrics m JOIN ml_bentoml_services s ON s.id = m.service_id WHERE s.service_name = 'sum' AND m.\"timestamp\" > now() - interval '10 s' AND m.requests = 1"
is 'promoted, it writes' "$(sql b shop "SELECT count(*) > 0 FROM ml_bentoml_serving_metrics WHERE requests = 1 AND \"timestamp\" > now() - interval '10 s'")" t
