#!/usr/bin/env bash
# A publication of the registry brings other clusters to the same models, and their sessions follow what the first does, while
# each of them counts, logs and judges for itself.
source "$(dirname "$0")/common.sh"

PRELOADED=("shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = '300ms'")
node a "wal_level = logical" "${PRELOADED[@]}"
for node in b c; do node $node "wal_receiver_status_interval = 1s" "${PRELOADED[@]}"; done
for node in a b c; do sql $node postgres "CREATE DATABASE shop"; done
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS $CUSTOMERS $REGISTER
    SELECT FROM e2i_register_model('sum', plus(1)); SELECT FROM e2i_register_model('sum', plus(2)); SELECT FROM e2i_set_alias('sum', 'best', '1');
    UPDATE ml_stage_policies SET at_least = 0.72 WHERE stage = 'staging' AND metric = 'auc';
    SELECT FROM e2i_publish_registry();"
for node in b c; do sql $node shop "CREATE EXTENSION e2i_serve; $PLUS $CUSTOMERS"; done

is 'every published table has a key' "$(sql a shop "SELECT count(*), bool_and(c.relreplident = 'd' AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))
    FROM pg_publication_tables p JOIN pg_class c ON c.oid = format('%I.%I', p.schemaname, p.tablename)::regclass WHERE pubname = 'e2i_serve_registry'")" '9|t'

# --- the first copy ---------------------------------------------------------------------------------------------------------

# One slot for each who follows: where both call their subscription the same, each names its own.
for node in b c; do
    sql $node shop "SET client_min_messages = warning;
        CREATE SUBSCRIPTION registry CONNECTION 'host=$NODES/a dbname=shop user=postgres application_name=$node' PUBLICATION e2i_serve_registry WITH (slot_name = 'registry_$node')" >/dev/null
    for ((i = 0; i < 100; i++)); do
        waiting=$(sql $node shop "SELECT string_agg(srrelid::regclass::text, ' ') FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')")
        if [[ ! $waiting ]]; then break; fi
        sleep 0.1
    done
    is "the first copy on $node: every table, also the policies that the extension filled" "$waiting" ''
done

# Waits until everything committed on A is applied on the others.
applied() { wait_for a shop "SELECT bool_and(replay_lsn >= '$(sql a shop "SELECT pg_current_wal_flush_lsn()")') AND count(*) = ${1:-2} FROM pg_stat_replication WHERE application_name IN ('b', 'c')"; }
# Every row of the published tables, without what each server finds out about itself.
STATE="$ROWS_OF SELECT p.tablename, pg_temp.rows_of(format('SELECT to_jsonb(t) - ''health_status'' - ''health_reason'' AS row FROM %I.%I t WHERE to_jsonb(t) ->> ''action'' IS DISTINCT FROM ''health''',
        p.schemaname, p.tablename))
    FROM (VALUES ('ml_model_artifacts'), ('ml_model_registry'), ('ml_model_aliases'), ('ml_bentoml_services'), ('ml_stage_policies'), ('ml_model_events'),
        ('ml_health_limits'), ('ml_inference_log_policies'), ('ml_calibrations')) v (name) JOIN pg_tables p ON p.tablename = v.name ORDER BY 1;"
same() {
    local node rows copied
    rows=$(sql a shop "$STATE")
    for node in b c; do
        copied=$(sql $node shop "$STATE")
        is "$1: every row on $node" "$(md5sum <<<"$copied")" "$(md5sum <<<"$rows")"
    done
}
SUMS="SELECT e2i_predict('sum', ARRAY[10]), e2i_predict('sum@best', ARRAY[10]);"

applied
same 'the first copy'
scores=$(sql a shop "$SCORES")
like 'the models tell customers apart' "$scores" '2000|t|t|*'
is '2,000 rows score bit for bit' "$(sql b shop "$SCORES")" "$scores"

# --- what A does, seen by sessions of B that have the model loaded --------------------------------------------------------------

session warm b shop
session open b shop
ask warm "PREPARE p AS $SUMS" >/dev/null
is 'a session that will stay' "$(ask warm 'EXECUTE p;')" '11|11'
is 'a transaction that will stay' "$(ask open "BEGIN ISOLATION LEVEL REPEATABLE READ; $SUMS")" '11|11'
is 'loaded once' "$(ask warm "SELECT model, version, loads FROM e2i_session_cache;")" 'sum|1|1'

# follows WHAT 'SQL ON A' 'SUMS ON B'
follows() {
    sql a shop "SET client_min_messages = warning; $2" >/dev/null
    applied
    is "$1" "$(ask warm 'EXECUTE p;')" "$3"
}
follows 'a deploy that is rolled back' "BEGIN; SELECT e2i_deploy('sum:2'); ROLLBACK;" '11|11'
follows 'a deploy' "SELECT e2i_deploy('sum:2', reason => 'better');" '12|11'
INTERVAL="SELECT (i).lower, (i).upper, (i).coverage FROM e2i_predict_interval('sum:1', ARRAY[10], 0.5) i;"
calibrate() { echo "SELECT e2i_calibrate('sum:1', 'SELECT i AS x, i + 1 + i * $1 AS y FROM generate_series(1, 9) i', 'y');"; }
sql a shop "$(calibrate 1)" >/dev/null
applied
is 'a calibration' "$(ask warm "$INTERVAL")" '6|16|0.5555555555555556'
sql a shop "$(calibrate 2)" >/dev/null
applied
is 'another one, in a session that has the first' "$(ask warm "$INTERVAL")" '1|21|0.5555555555555556'
follows 'an alias' "SELECT e2i_set_alias('sum', 'best', '2');" '12|12'
is 'the transaction from before keeps its snapshot' "$(ask open "$SUMS COMMIT; $SUMS")" $'11|11\n12|12'
follows 'a roll back' "SELECT e2i_rollback('sum', reason => 'worse');" '11|12'
follows 'a registration that is deployed' "SELECT e2i_register_model('sum', plus(3), deploy => true);" '13|12'
follows 'a version that takes the place of a dropped one' "SELECT e2i_drop_model('sum:3', force => true); SELECT e2i_register_model('sum', plus(4), deploy => true);" '14|12'
follows 'a stage and a policy' "SELECT e2i_transition_stage('churn', '1', 'staging'); UPDATE ml_stage_policies SET at_least = 0.9 WHERE stage = 'production' AND metric = 'auc';
    INSERT INTO ml_stage_policies (stage, gate) VALUES ('shadow', 'approver'), ('archived', 'approver'); DELETE FROM ml_stage_policies WHERE stage = 'archived' AND gate = 'approver';" '14|12'
same 'afterwards'
is 'events' "$(sql b shop "SELECT action, before, after, reason FROM ml_model_events WHERE service_name = 'sum' AND action <> 'health' ORDER BY id")" \
    $'deploy||sum:1|\ndeploy|sum:1|sum:2|better\nrollback|sum:2|sum:1|worse\ndeploy|sum:1|sum:3|\nundeploy|sum:3||\ndeploy||sum:4|'
is 'which version served' "$(sql b shop "SELECT e2i_version_at('sum', now() + interval '1 h'), e2i_version_at('sum', now() - interval '1 d') IS NULL")" 'sum:4|t'

# --- what each finds out about itself ------------------------------------------------------------------------------------------------

HEALTH="SELECT string_agg(DISTINCT health, ' ') FROM e2i_services WHERE service = 'sum'"
ask warm "DO \$\$ BEGIN FOR i IN 1..50 LOOP BEGIN PERFORM e2i_predict('sum', '{\"y\": 1}'); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END \$\$;" >/dev/null
wait_for b shop "SELECT count(*) > 0 FROM ml_model_events WHERE action = 'health' AND after = 'unhealthy' AND service_name = 'sum'"
sql a shop "SELECT e2i_predict('sum', ARRAY[1])" >/dev/null
wait_for a shop "SELECT count(*) > 0 FROM ml_model_events WHERE action = 'health' AND after = 'healthy' AND service_name = 'sum'"
applied
is 'a service breaks on one: its events stay there' "$(for node in a b c; do sql $node shop "SELECT count(*) FILTER (WHERE after = 'unhealthy') FROM ml_model_events WHERE action = 'health' AND service_name = 'sum'"; done)" $'0\n1\n0'
is 'each counts its own' "$(sql b shop 'SELECT sum(errors) >= 50 FROM ml_bentoml_serving_metrics'; sql c shop 'SELECT coalesce(sum(errors), 0) FROM ml_bentoml_serving_metrics')" $'t\n0'
follows 'and deployments are followed' "SELECT e2i_deploy('sum:1');" '11|12'
follows 'and undone' "SELECT e2i_rollback('sum');" '14|12'
for ((i = 0; i < 3; i++)); do
    follows "again: deployed, undeployed, registered ($i)" "SELECT e2i_deploy('sum:2', 'second'); SELECT e2i_undeploy('second'); SELECT e2i_register_model('more', plus($i));
        SELECT e2i_deploy('sum:1');" '11|12'
    follows "again: back ($i)" "SELECT e2i_rollback('sum');" '14|12'
done
sql a shop "UPDATE ml_health_limits SET degraded = 0.2, unhealthy = 0.4 WHERE metric = 'error_rate'; SELECT FROM e2i_set_inference_log('sum', sample => 0, on_pii => 'block');"
applied
is 'limits of health and the policies of logs travel' "$(sql c shop "SELECT degraded, unhealthy FROM ml_health_limits WHERE metric = 'error_rate'; SELECT service_name, on_pii FROM ml_inference_log_policies")" $'0.2|0.4\nsum|block'
same 'with workers on all'

# A large model crosses in chunks.
sql a shop "SET client_min_messages = warning;
    SELECT FROM e2i_register_model('large', plus(7) || '\x3280808023'::bytea || convert_to(repeat('model of a bank ', 70 * 65536), 'UTF8'))"
applied
is 'a model of 70 MB' "$(ask warm "SELECT e2i_predict('large', ARRAY[10]); SELECT count(*) FROM ml_model_artifacts a JOIN ml_model_registry r ON r.artifact_sha256 = a.sha256 WHERE r.model_name = 'large';")" $'17\n2'
sql a shop "SELECT FROM e2i_drop_model('large', force => true)"
applied
is 'its bytes go on both' "$(sql b shop "SELECT count(*) FROM ml_model_artifacts")" "$(sql a shop "SELECT count(*) FROM ml_model_artifacts")"

# --- B on its own ---------------------------------------------------------------------------------------------------------------

# Sequences do not replicate: numbers are taken on from the rows.
sql b shop "SET client_min_messages = warning; DROP SUBSCRIPTION registry;
    SELECT setval('ml_model_events_id_seq', max(id)) FROM ml_model_events;
    SELECT setval('ml_bentoml_services_deployment_seq', max(deployment)) FROM ml_bentoml_services;
    SELECT setval('ml_stage_policies_id_seq', max(id)) FROM ml_stage_policies;" >/dev/null
is 'without A: registers, deploys and rolls back' "$(ask warm "SET client_min_messages = warning; SELECT e2i_register_model('sum', plus(5), deploy => true); EXECUTE p;
    SELECT version FROM e2i_rollback('sum'); EXECUTE p;
    SELECT count(*) = count(DISTINCT deployment) FROM ml_bentoml_services;")" $'sum:5\n15|12\nsum:4\n14|12\nt'
