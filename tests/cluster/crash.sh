#!/usr/bin/env bash
# What is left when a backend is killed in the middle of a registration: nothing of the model, and a server that serves.
# And two neighbours of it: databases that use the same names, and an extension that is dropped under a warm cache.
source "$(dirname "$0")/common.sh"

node a
sql a postgres "ALTER SYSTEM SET restart_after_crash = on; CREATE DATABASE shop; CREATE DATABASE bank;"
node_stop a
node_start a
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));"

# What there is of models: versions, artifacts, deployments, and the events of the registrations.
THERE="SELECT string_agg(model_name || ':' || model_version, ' ' ORDER BY model_name, model_version), (SELECT count(DISTINCT sha256) FROM ml_model_artifacts),
        (SELECT count(*) FROM ml_bentoml_services), (SELECT count(*) FROM ml_model_events) FROM ml_model_registry;"
is 'before' "$(sql a shop "$THERE")" 'sum:1|2|1|2'

# Waits until the server is back after a crash.
back() { wait_for a shop "SELECT pg_postmaster_start_time() IS NOT NULL AND NOT pg_is_in_recovery() AND (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'checkpointer') = 1"; }
# Processes of the server that are not children of its postmaster.
orphans() {
    local postmaster process parent
    postmaster=$(outside head -n 1 "$HOST_NODES/a/data/postmaster.pid")
    for process in $(outside find /proc -mindepth 2 -maxdepth 2 -name cwd -lname "$HOST_NODES/a/data" 2>/dev/null | cut -d/ -f3); do
        parent=$(sed -nE 's/^PPid:\s+//p' "/proc/$process/status" 2>/dev/null || true)
        if [[ $parent && $process != "$postmaster" && $parent != "$postmaster" ]]; then printf '%s ' "$process"; fi
    done
}
server_log() { outside grep -c "$1" "$HOST_NODES/a/server.log" || true; }
kill_backend() { in_world bash -c "kill -9 $1"; }

# --- in the middle of trying the model out --------------------------------------------------------------------------------------

session victim a shop
session other a shop
pid=$(ask victim 'SELECT pg_backend_pid();')
is 'a session beside it' "$(ask other "SELECT e2i_predict('sum', ARRAY[10]);")" 11
tell victim "SELECT e2i_register_model('loop', pg_read_binary_file('$MODELS/shape_loop.onnx'));"
wait_for a shop "SELECT state = 'active' AND now() - query_start > '0.7 s' FROM pg_stat_activity WHERE pid = $pid"
kill_backend "$pid"
back
is 'killed while the model is tried out: the server restarted once' "$(server_log 'all server processes terminated; reinitializing')" 1
is 'killed while the model is tried out: nothing of it' "$(sql a shop "$THERE")" 'sum:1|2|1|2'
is 'killed while the model is tried out: the others score' "$(sql a shop "SELECT e2i_predict('sum', ARRAY[10])")" 11
for ((i = 0; i < 100; i++)); do
    left=$(orphans)
    if [[ ! $left ]]; then break; fi
    sleep 0.1
done
is 'killed while the model is tried out: no process is left' "$left" ''
is 'killed while the model is tried out: the name is free' "$(sql a shop "SELECT e2i_register_model('loop', plus(2)); SELECT e2i_predict('loop', ARRAY[10]);")" $'loop:1\n12'

# --- after the rows were written, before the commit ---------------------------------------------------------------------------------

before=$(sql a shop "$THERE")
session writer a shop
pid=$(ask writer 'SELECT pg_backend_pid();')
is 'a registration that is not committed' "$(ask writer "BEGIN; SELECT e2i_register_model('half', plus(3)); SELECT e2i_predict('half', ARRAY[10]); SELECT version FROM e2i_deploy('half:1', 'sum');")" $'half:1\n13\nhalf:1'
kill_backend "$pid"
back
is 'killed before the commit: nothing of it' "$(sql a shop "$THERE")" "$before"
is 'killed before the commit: the others score' "$(sql a shop "SELECT e2i_predict('sum', ARRAY[10])")" 11
is 'killed before the commit: the same version again' "$(sql a shop "SELECT e2i_register_model('half', plus(4), version => '1'); SELECT e2i_predict('half', ARRAY[10]);")" $'half:1\n14'

# --- the whole server, after the commit ---------------------------------------------------------------------------------------------

sql a shop "SELECT FROM e2i_register_model('sum', plus(5), deploy => true)"
before=$(sql a shop "$THERE")
node_stop a immediate
node_start a
is 'stopped at once: what was committed is there' "$(sql a shop "$THERE")" "$before"
is 'stopped at once: and scores' "$(sql a shop "SELECT e2i_predict('sum', ARRAY[10]), e2i_predict('sum:1', ARRAY[10])")" '15|11'

# --- two databases with the same names ------------------------------------------------------------------------------------------------

sql a bank "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS
    SELECT FROM e2i_register_model('sum', plus(100)); SELECT FROM e2i_register_model('sum', plus(200));"
session shop a shop
session bank a bank
SUM="SELECT e2i_predict('sum', ARRAY[10]), e2i_predict('sum:1', ARRAY[10]);"
is 'two databases: each its own' "$(ask shop "$SUM") $(ask bank "$SUM")" '15|11 110|110'
ask bank "SELECT FROM e2i_deploy('sum:2');"
is 'two databases: a deploy in one' "$(ask shop "$SUM") $(ask bank "$SUM")" '15|11 210|110'
ask shop "SELECT FROM e2i_rollback('sum');"
is 'two databases: a roll back in the other' "$(ask shop "$SUM") $(ask bank "$SUM")" '11|11 210|110'
sql a bank "SELECT FROM e2i_drop_model('sum:1', force => true)"
is 'two databases: a drop in one' "$(ask shop "$SUM") $(ask bank "SELECT e2i_predict('sum', ARRAY[10]);")" '11|11 210'
is 'two databases: in one session' "$(at a psql -XAtq -d shop <<<"$SUM
\\c bank
SELECT e2i_predict('sum', ARRAY[10]);
\\c shop
$SUM")" $'11|11\n210\n11|11'
is 'two databases: one is made of the other' "$(sql a postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'" >/dev/null
    sql a postgres "CREATE DATABASE branch TEMPLATE shop"; sql a branch "$SUM SELECT version FROM e2i_deploy('sum:2'); $SUM"; sql a shop "$SUM")" $'11|11\nsum:2\n15|11\n11|11'

# --- the extension dropped under a warm cache -------------------------------------------------------------------------------------------

session dropper a bank
session reader a bank
ask dropper "SET client_min_messages = warning; CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO PUBLIC; SET search_path = public, other;" >/dev/null
ask reader "SET search_path = public, other; PREPARE p AS SELECT e2i_predict('sum', ARRAY[10]);" >/dev/null
is 'dropped: loaded in both sessions' "$(ask dropper "SELECT e2i_predict('sum', ARRAY[10]);") $(ask reader "EXECUTE p;")" '210 210'
is 'dropped: and rolled back' "$(ask dropper "SET e2i_serve.allow_drop = on; BEGIN; DROP EXTENSION e2i_serve CASCADE; CREATE EXTENSION e2i_serve SCHEMA other;
    SELECT e2i_register_model('sum', plus(1)); SELECT e2i_predict('sum', ARRAY[10]); ROLLBACK; SELECT e2i_predict('sum', ARRAY[10]);") $(ask reader "EXECUTE p;")" $'sum:1\n11\n210 210'
is 'dropped: there is no function' "$(ask dropper "DROP EXTENSION e2i_serve; SELECT e2i_predict('sum', ARRAY[10]);" | sed -n 1p) $(ask reader "EXECUTE p;" | sed -n 1p)" \
    'ERROR:  function e2i_predict(unknown, integer[]) does not exist ERROR:  function e2i_predict(unknown, integer[]) does not exist'
is 'made again in another schema: empty' "$(ask dropper "CREATE EXTENSION e2i_serve SCHEMA other; SELECT count(*) FROM e2i_session_cache;
    SELECT e2i_predict('sum', ARRAY[10]);" | sed -n 1,2p) $(ask reader "EXECUTE p;" | sed -n 1p)" \
    $'0\nERROR:  model "sum" does not exist ERROR:  model "sum" does not exist'
is 'made again in another schema: scores' "$(ask dropper "SELECT e2i_register_model('sum', plus(300)); SELECT e2i_predict('sum', ARRAY[10]);") $(ask reader "EXECUTE p;")" $'sum:1\n310 310'
is 'made again in another schema: is heard of' "$(ask dropper "SELECT e2i_register_model('sum', plus(400), deploy => true);") $(ask reader "EXECUTE p;")" 'sum:2 410'
is 'made again in another schema: one cache' "$(ask reader "SELECT model, version FROM e2i_session_cache;")" $'sum|2\nsum|1'
