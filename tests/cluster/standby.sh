#!/usr/bin/env bash
# A physical standby scores as its primary does and follows a deploy once it is replayed, in sessions that have the model
# loaded; promoted, it goes on as a primary.
source "$(dirname "$0")/common.sh"

node primary "wal_level = replica"
sql primary postgres "CREATE DATABASE shop"
sql primary shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS $CUSTOMERS $REGISTER
    SELECT FROM e2i_register_model('sum', plus(1)); SELECT FROM e2i_register_model('sum', plus(2)); SELECT FROM e2i_set_alias('sum', 'best', '1');"

in_world mkdir -p "$NODES/standby"
at primary pg_basebackup -D "$NODES/standby/data" -R -X stream -c fast --no-sync
node_settings standby "hot_standby = on" "hot_standby_feedback = on" "wal_retrieve_retry_interval = 100ms"
node_start standby

# Waits until the standby has replayed what is committed on the primary.
replayed() { wait_for standby shop "SELECT pg_last_wal_replay_lsn() >= '$(sql primary shop "SELECT pg_current_wal_flush_lsn()")'"; }
SUMS="SELECT e2i_predict('sum', ARRAY[10]), e2i_predict('sum@best', ARRAY[10]);"

replayed
scores=$(sql primary shop "$SCORES")
like 'the models tell customers apart' "$scores" '2000|t|t|*'
is '2,000 rows score bit for bit' "$(sql standby shop "$SCORES")" "$scores"
is 'with parallel workers' "$(sql standby shop "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; $SCORES")" "$scores"

session warm standby shop
session open standby shop
ask warm "PREPARE p AS $SUMS" >/dev/null
is 'a session that will stay' "$(ask warm 'EXECUTE p;')" '11|11'
is 'a transaction that will stay' "$(ask open "BEGIN ISOLATION LEVEL REPEATABLE READ; $SUMS")" '11|11'
is 'loaded once' "$(ask warm "SELECT model, version, loads FROM e2i_session_cache;")" 'sum|1|1'

# --- what the primary does ----------------------------------------------------------------------------------------------

session deployer primary shop
ask deployer "BEGIN; SELECT FROM e2i_deploy('sum:2');" >/dev/null
replayed
is 'a deploy that is not committed' "$(ask warm 'EXECUTE p;')" '11|11'
ask deployer "ROLLBACK;" >/dev/null
replayed
is 'a deploy that was rolled back' "$(ask warm 'EXECUTE p;')" '11|11'
sql primary shop "SELECT FROM e2i_deploy('sum:2')"
replayed
is 'a deploy' "$(ask warm 'EXECUTE p;')" '12|11'
sql primary shop "SELECT FROM e2i_set_alias('sum', 'best', '2')"
replayed
is 'an alias' "$(ask warm 'EXECUTE p;')" '12|12'
is 'the transaction from before keeps its snapshot' "$(ask open "$SUMS COMMIT; $SUMS")" $'11|11\n12|12'
sql primary shop "SELECT FROM e2i_rollback('sum')"
replayed
is 'a roll back' "$(ask warm 'EXECUTE p;')" '11|12'
sql primary shop "SELECT FROM e2i_register_model('new', plus(30))"
replayed
is 'a new model' "$(ask warm "SELECT e2i_predict('new', ARRAY[10]);")" 40
sql primary shop "SELECT FROM e2i_drop_model('new', force => true); $FORGET SELECT FROM e2i_register_model('new', plus(40), version => '1');"
replayed
is 'other bytes under the same name and version' "$(ask warm "SELECT e2i_predict('new:1', ARRAY[10]);")" 50
sql primary shop "SELECT FROM e2i_drop_model('new', force => true);"
replayed
is 'a drop' "$(ask warm "SELECT e2i_predict('new', ARRAY[10]);")" $'ERROR:  model "new" does not exist\nHINT:  SELECT model_name, model_version FROM ml_model_registry lists the models that you may use.'
is 'the cache forgets it' "$(ask warm "SELECT model, version FROM e2i_session_cache ORDER BY 1, 2;")" $'sum|1\nsum|2'

# --- what a standby and a read-only transaction refuse --------------------------------------------------------------------

for where in standby primary; do
    read_only="SET default_transaction_read_only = on; SET client_min_messages = warning;"
    is "$where, read only: scores" "$(sql "$where" shop "$read_only $SUMS $SCORES")" "11|12"$'\n'"$scores"
    for call in "e2i_register_model('sum', plus(3))" "e2i_deploy('sum:2')" "e2i_deploy('sum:2', on_failure => 'record')" "e2i_rollback('sum', '2')" \
        "e2i_set_alias('sum', 'best', '1')" "e2i_drop_alias('sum', 'best')" "e2i_transition_stage('sum', '1', 'staging')" \
        "e2i_drop_model('sum', force => true)"; do
        like "$where, read only: $call" "$(failure "$where" shop "$read_only SELECT $call")" '25006: *'
    done
done
# A standby says that it is one, whatever writes.
for call in "e2i_register_model('sum', plus(3))" "e2i_annotate_model('sum:1', description => 'd')" "e2i_deploy('sum:2')" "e2i_undeploy('sum')" "e2i_rollback('sum')" \
    "e2i_set_alias('sum', 'best', '1')" "e2i_drop_alias('sum', 'best')" "e2i_transition_stage('sum', '1', 'staging')" "e2i_set_traffic('sum', NULL)" \
    "e2i_set_shadow('sum', NULL)" "e2i_set_inference_log('sum')" "e2i_drop_model('sum')" "e2i_flush_metrics()"; do
    is "the standby says so: $call" "$(failure standby shop "SELECT $call")" "25006: this server is a standby, and ${call%%(*} writes"
done
is 'and where to do it' "$(at standby psql -XAtq -d shop -c "SELECT e2i_set_alias('sum', 'best', '1')" 2>&1 | sed -n 's/^HINT: *//p')" \
    'Do it on the primary; the standby follows by itself.'

# --- promotion ------------------------------------------------------------------------------------------------------------

node_stop primary
in_world pg_ctl -D "$NODES/standby/data" -w -s promote
is 'promoted: a session from before' "$(ask warm 'EXECUTE p;')" '11|12'
is 'promoted: registers and deploys' "$(ask warm "SET client_min_messages = warning; SELECT e2i_register_model('sum', plus(3), deploy => true); EXECUTE p;
    SELECT version FROM e2i_rollback('sum'); EXECUTE p;")" $'sum:3\n13|12\nsum:1\n11|12'
is 'promoted: in a new session' "$(sql standby shop "$SUMS $SCORES")" "11|12"$'\n'"$scores"
is 'promoted: events of both' "$(sql standby shop "SELECT string_agg(action, ' ' ORDER BY id) FROM ml_model_events WHERE service_name = 'sum'")" \
    'deploy deploy rollback deploy rollback'
