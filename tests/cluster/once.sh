#!/usr/bin/env bash
# What was counted is written once, whatever happens to the server or to the transaction that writes it; what was set back stays
# set back; nothing is written while the server is being upgraded.
source "$(dirname "$0")/common.sh"

node a "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = '1h'" "restart_after_crash = on" "max_prepared_transactions = 4"
sql a postgres "CREATE DATABASE shop; ALTER SYSTEM SET restart_after_crash = on;"
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));
    SELECT FROM e2i_set_inference_log('sum', sample => 1);"

score() { sql a shop "SELECT count(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, $1) i" >/dev/null; }
ROWS="SELECT coalesce(sum(requests), 0) || ' ' || coalesce(sum(predictions), 0) FROM ml_bentoml_serving_metrics"
SEEN="SELECT coalesce(sum(requests), 0) || ' ' || coalesce(sum(predictions), 0) FROM e2i_serving_stats"
LOGGED="SELECT count(*) || ' ' || count(DISTINCT request_id) FROM ml_inference_log"
flush() { sql a shop 'SELECT FROM e2i_flush_metrics()'; }
number_of_crashes=0
# Kills a backend; the server begins anew.
crash() {
    local before pid
    before=$(sql a shop "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    number_of_crashes=$((number_of_crashes + 1))
    session "victim$number_of_crashes" a shop
    pid=$(ask "victim$number_of_crashes" 'SELECT pg_backend_pid();')
    in_world bash -c "kill -9 $pid"
    wait_for a shop "SELECT NOT pg_is_in_recovery() AND (SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer') <> $before"
}

# --- crashes ------------------------------------------------------------------------------------------------------------

score 10
flush
is 'written' "$(sql a shop "$ROWS; $SEEN")" $'1 10\n1 10'
for time in once twice; do
    crash
    flush
    is "after kill -9, $time: once in rows, and in the counters again" "$(sql a shop "$ROWS; $SEEN")" $'1 10\n1 10'
done
score 3
flush
is 'and it goes on' "$(sql a shop "$ROWS; $SEEN")" $'2 13\n2 13'
crash
score 4
crash
score 5
flush
is 'what was counted between two crashes, at most an interval, is lost; nothing is twice' "$(sql a shop "$ROWS" | sed -E 's/^(3 18|4 22)$/right/'; sql a shop "SELECT ($ROWS) = ($SEEN)")" $'right\nt'

sql a shop 'SELECT FROM e2i_serving_stats_reset()'
crash
is 'set back, and kill -9' "$(sql a shop "$SEEN")" '0 0'
flush
is 'no row of it comes again' "$(sql a shop "$SEEN")" '0 0'
score 2
flush
crash
flush
is 'and from there it counts once' "$(sql a shop "$SEEN; SELECT sum(requests) || ' ' || sum(predictions) FROM (SELECT * FROM ml_bentoml_serving_metrics ORDER BY id DESC LIMIT 3) m")" $'1 2\n1 2'
node_stop a
node_start a
flush
is 'over a clean restart, too' "$(sql a shop "$SEEN; SELECT sum(requests) || ' ' || sum(predictions) FROM (SELECT * FROM ml_bentoml_serving_metrics ORDER BY id DESC LIMIT 4) m")" $'1 2\n1 2'

# --- two who write at the same time ------------------------------------------------------------------------------------------

sql a shop 'SELECT FROM e2i_serving_stats_reset(); DELETE FROM ml_bentoml_serving_metrics;'
score 6
session first a shop
session second a shop
ask first 'BEGIN; SELECT FROM e2i_flush_metrics();' >/dev/null
tell second 'SELECT e2i_flush_metrics();'
wait_for a shop "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'object' AND NOT granted"
ask first 'COMMIT;' >/dev/null
is 'who waits writes what came since' "$(answer second; sql a shop "SELECT string_agg(requests || ' ' || predictions, '/' ORDER BY id) FROM ml_bentoml_serving_metrics")" $'1\n1 6/0 0'
ask first 'BEGIN; SELECT FROM e2i_flush_metrics(); ROLLBACK;' >/dev/null
flush
is 'what is rolled back is written again' "$(sql a shop "$ROWS")" '1 6'

# --- transactions that are prepared ------------------------------------------------------------------------------------------

sql a shop 'SELECT FROM e2i_serving_stats_reset(); DELETE FROM ml_bentoml_serving_metrics; TRUNCATE ml_inference_log;'
score 7
is 'who writes an interval is not prepared' "$(failure a shop "BEGIN; SELECT e2i_flush_metrics(); PREPARE TRANSACTION 'b';")" \
    '0A000: cannot PREPARE a transaction that has written metrics'
flush
wait_for a shop "SELECT count(*) = 7 FROM ml_inference_log"
is 'and all is written once' "$(sql a shop "$ROWS; $LOGGED")" $'1 7\n7 7'
for end in COMMIT ROLLBACK; do
    sql a shop "BEGIN; SELECT count(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, 5) i; PREPARE TRANSACTION 'c';" >/dev/null
    sql a shop "$end PREPARED 'c'"
    flush
done
wait_for a shop "SELECT count(*) = 17 FROM ml_inference_log"
is 'scoring in prepared transactions counts once, however they end' "$(sql a shop "$ROWS; $SEEN; $LOGGED")" $'3 17\n3 17\n17 17'

# --- an upgrade -----------------------------------------------------------------------------------------------------------------

score 1
before=$(sql a shop 'SELECT count(*) FROM ml_bentoml_serving_metrics')
node_settings a "e2i_serve.metrics_interval = '100ms'"
node_stop a
in_world pg_ctl -D "$NODES/a/data" -l "$NODES/a/server.log" -w -s -o -b start >/dev/null
sleep 1
is 'pg_upgrade: no worker' "$(sql a shop "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'e2i_serve%'")" 0
is 'pg_upgrade: no row' "$(sql a shop 'SELECT count(*) FROM ml_bentoml_serving_metrics')" "$before"
node_stop a
node_start a
wait_for a shop "SELECT count(*) > $before FROM ml_bentoml_serving_metrics"
is 'afterwards it goes on' "$(sql a shop "SELECT max(requests) FROM (SELECT requests FROM ml_bentoml_serving_metrics ORDER BY id DESC LIMIT 20) m")" 1
