#!/usr/bin/env bash
# pg_upgrade, here from a version to itself: nobody but pg_upgrade is in the server meanwhile, and models, rights and guards arrive.
source "$(dirname "$0")/common.sh"

PRELOADED=("shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = 500ms")
node a "${PRELOADED[@]}"
sql a postgres "CREATE DATABASE shop; CREATE ROLE scorer;"
sql a shop "SET client_min_messages = warning; CREATE SCHEMA ml; CREATE EXTENSION e2i_serve SCHEMA ml; ALTER DATABASE shop SET search_path = public, ml; SET search_path = public, ml;
    $PLUS SELECT FROM e2i_register_model('sum', plus(1)); SELECT FROM e2i_register_model('sum', plus(2)); SELECT FROM e2i_drop_model('sum:2'); SELECT FROM e2i_grant_usage('scorer', 'scorer');"
wait_for a shop "SELECT count(*) > 0 FROM ml_bentoml_serving_metrics"
# And a database of an older release, whose functions the library still has.
older=$(dirname "$0")/releases/0.1.0.sql
sql a postgres "CREATE DATABASE older; CREATE ROLE deployer;"
at a psql -XAtq -v ON_ERROR_STOP=1 -d older <"$older" >/dev/null
node_stop a

# A server in that mode has no worker of ours.
written() { sql a shop "SELECT count(*) FROM ml_bentoml_serving_metrics"; }
in_world pg_ctl -D "$NODES/a/data" -l "$NODES/a/server.log" -w -s -o '-b' start >/dev/null
before=$(written)
sleep 2
is 'in binary-upgrade mode nothing is written' "$(written)" "$before"
is 'and no process of the extension runs' "$(sql a shop "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'e2i%'")" 0
node_stop a

node b "${PRELOADED[@]}"
node_stop b
is 'pg_upgrade' "$(in_world bash -c "cd '$NODES/b' && pg_upgrade -b '$PGBIN' -B '$PGBIN' -d '$NODES/a/data' -D '$NODES/b/data' -s '$NODES/b' -U postgres" 2>&1 | grep -c 'Upgrade Complete')" 1
node_start b
is 'the models' "$(sql b shop "SELECT e2i_predict('sum', ARRAY[10]), e2i_predict_pinned('sum:1', ARRAY[10]);")" '11|11'
is 'the rights' "$(sql b shop "SET ROLE scorer; SELECT e2i_predict('sum', ARRAY[10]);")" 11
is 'one active deployment' "$(failure b shop "INSERT INTO ml_bentoml_services (service_name, status) VALUES ('sum', 'active')")" \
    '23P01: conflicting key value violates exclusion constraint "ml_bentoml_services_one_active"'
is 'versions that were dropped' "$(failure b shop "SELECT e2i_register_model('sum', plus(3), version => '2')")" \
    '42710: model sum:2 was dropped, and its version is not given again'
is 'the guard of the models' "$(failure b shop 'DROP SCHEMA ml CASCADE')" '55000: the extension e2i_serve holds a version of a model and is not dropped'
is 'all members are members' "$(sql b shop "SELECT count(*) FROM pg_event_trigger t JOIN pg_depend d ON d.classid = t.tableoid AND d.objid = t.oid AND d.deptype = 'e'")" 1
wait_for b shop "SELECT count(*) > $before FROM ml_bentoml_serving_metrics"
is 'metrics go on' "$(sql b shop "SELECT e2i_flush_metrics()")" 1
like 'the older release' "$(failure b older "SELECT ml.e2i_predict('sum:1', ARRAY[1])")" '55000: the extension e2i_serve is at version 0.1.0, its library at *'
is 'the older release, updated' "$(sql b older "ALTER EXTENSION e2i_serve UPDATE; SELECT ml.e2i_predict('sum:1', ARRAY[1]);")" 2
