#!/usr/bin/env bash
# ALTER EXTENSION UPDATE: from every release, everything is there afterwards, and the objects are those of a fresh install; before it,
# the library of another version refuses to work and is in the way of nothing else.
source "$(dirname "$0")/common.sh"

here=$(dirname "$0")
current=$(sed -n "s/^default_version = '\(.*\)'/\1/p" "$ROOT/e2i_serve.control")
members() { sql a "$1" "SET search_path = ml; $(<"$here/members.sql")"; }
IN='SET search_path = public, ml;'

node a "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = 300ms" "e2i_serve.metrics_retention = 0" \
    "e2i_serve.inference_log_retention = 0"
sql a postgres "CREATE ROLE scorer; CREATE ROLE deployer; CREATE DATABASE fresh;"
sql a fresh "CREATE SCHEMA ml; CREATE EXTENSION e2i_serve SCHEMA ml;"
fresh=$(members fresh)
like 'a fresh extension has members' "$(grep -c '^member ' <<<"$fresh")" '[1-9]?*'

for script in "$here"/releases/*.sql; do
    version=$(basename "$script" .sql)
    behind="55000: the extension e2i_serve is at version $version, its library at $current"

    # --- its objects --------------------------------------------------------------------------------------------------
    sql a postgres "CREATE DATABASE bare"
    # At once, or the worker may come by in between.
    sql a bare "BEGIN; CREATE SCHEMA ml; CREATE EXTENSION e2i_serve SCHEMA ml VERSION '$version'; ALTER EXTENSION e2i_serve UPDATE; COMMIT;"
    is "$version: updated, the members are those of a fresh install" "$(diff <(printf '%s\n' "$fresh") <(members bare))" ''
    sql a postgres "DROP DATABASE bare WITH (FORCE)"

    # --- before the update --------------------------------------------------------------------------------------------
    sql a postgres "CREATE DATABASE shop"
    at a psql -XAtq -v ON_ERROR_STOP=1 -d shop <"$script" >/dev/null
    for call in "e2i_predict('sum', ARRAY[1])" "e2i_predict_pinned('sum:1', '{\"x\": 1}'::jsonb)" "e2i_deploy('sum:1')" "e2i_health('sum')" \
        "e2i_serve('sum', '{\"features\": [1]}')" "e2i_flush_metrics()" "count(*) FROM e2i_serving_stats" "sum(y) FROM scored"; do
        is "$version: SELECT $call" "$(failure a shop "$IN SELECT $call")" "$behind"
    done
    like "$version: the hint" "$(sql a shop "$IN SELECT e2i_predict('sum', ARRAY[1])" 2>&1)" '*HINT:  ALTER EXTENSION e2i_serve UPDATE;'
    wait_for a shop "SELECT pg_read_file('$NODES/a/server.log') LIKE '%nothing is written: ${behind#*: }%'"
    sleep 1
    is "$version: the worker says so, once" "$(in_world grep -c "nothing is written: ${behind#*: }" "$NODES/a/server.log")" 1
    at a pg_dump -d shop -Fc -f "$NODES/a/shop.dump"
    sql a postgres "CREATE DATABASE restored"
    at a pg_restore -d restored --exit-on-error "$NODES/a/shop.dump"
    is "$version: a dump is restored as $current" "$(sql a restored "$IN SELECT extversion FROM pg_extension WHERE extname = 'e2i_serve'")" "$current"
    sql a shop "BEGIN; SET LOCAL e2i_serve.allow_drop = on; DROP EXTENSION e2i_serve CASCADE; ROLLBACK;"
    like "$version: models are kept" "$(failure a shop "DROP EXTENSION e2i_serve CASCADE")" '55000: the extension e2i_serve holds * versions of models and is not dropped'
    rows() {
        sql a "$1" "$IN SELECT count(*) FROM ml_model_registry; SELECT count(*) FROM ml_model_events WHERE action <> 'health'; SELECT count(*) FROM ml_model_aliases;
            SELECT count(*), count(shadow_id), count(traffic) FROM ml_bentoml_services; SELECT count(*) FROM ml_inference_log;
            SELECT count(*) FROM ml_bentoml_serving_metrics WHERE requests > 0; SELECT count(*) FROM ml_inference_log_policies;
            SELECT count(*) FROM ml_stage_policies WHERE NOT enabled"
    }
    before=$(rows shop)
    session other a shop
    is "$version: a session that stays" "$(ask other "$IN SELECT e2i_predict('sum:1', ARRAY[1]);" | grep -o "at version $version")" "at version $version"

    # --- the update ---------------------------------------------------------------------------------------------------
    sql a shop "ALTER EXTENSION e2i_serve UPDATE"
    at a pg_dump -d shop -Fc -f "$NODES/a/shop.dump"
    sql a postgres "CREATE DATABASE moved"
    at a pg_restore -d moved --exit-on-error "$NODES/a/shop.dump"
    for database in shop restored moved; do
        is "$version: everything is there ($database)" "$(rows "$database")" "$before"
        is "$version: the same scores ($database)" "$(sql a "$database" "$IN SELECT count(*) FROM answers WHERE (sum, other, best, pinned) IS DISTINCT FROM
            (e2i_predict('sum', ARRAY[i]), e2i_predict('other', ARRAY[i]), e2i_predict('sum@best', ARRAY[i]), e2i_predict_pinned('sum:3', ARRAY[i]))")" 0
        is "$version: on the same engines ($database)" "$(sql a "$database" "$IN SELECT string_agg(concat_ws(' ', r, e2i_prewarm(r)), ', ') FROM unnest(ARRAY['sum:1', 'churn', 'trees', 'running']) r;
            SELECT string_agg(DISTINCT model || ' ' || engine, ', ') FROM e2i_session_cache")" $'sum:1 sum:1, churn churn:1, trees trees:1, running running:1\nchurn native, running onnxruntime, sum native, trees native'
        is "$version: golden rows ($database)" "$(sql a "$database" "$IN SELECT bool_and(ok) FROM e2i_verify_model('sum:1')")" t
        is "$version: a scorer's rights ($database)" "$(sql a "$database" "SET ROLE scorer; $IN SELECT e2i_predict('sum:1', ARRAY[1]);")" 2
        is "$version: a deployer's rights ($database)" "$(sql a "$database" "SET ROLE deployer; $IN SELECT version FROM e2i_deploy('sum:1', 'third');")" sum:1
        is "$version: nobody else's ($database)" "$(failure a "$database" "CREATE ROLE nobody; SET ROLE nobody; SELECT ml.e2i_predict('sum:1', ARRAY[1])")" \
            '42501: permission denied for schema ml'
        sql a postgres "DROP ROLE nobody"
        is "$version: a view of a user's ($database)" "$(sql a "$database" "$IN SELECT sum(y) FROM scored")" 9
        is "$version: the members, but for the rights of users ($database)" "$(sql a "$database" "SET client_min_messages = error; SET search_path = ml; DROP OWNED BY scorer, deployer;" >/dev/null;
            diff <(printf '%s\n' "$fresh") <(members "$database"))" ''
    done
    is "$version: a session that stayed" "$(ask other "$IN SELECT e2i_predict('sum:1', ARRAY[1]);")" 2
    ask other '\q' >/dev/null 2>&1 || true
    for database in shop restored moved; do sql a postgres "DROP DATABASE $database WITH (FORCE)"; done
done

# --- a library that is older than the objects ---------------------------------------------------------------------------
sql a fresh "$IN $PLUS SELECT FROM e2i_register_model('sum', plus(1)); UPDATE pg_extension SET extversion = '0.10.0' WHERE extname = 'e2i_serve';"
like 'an older library' "$(sql a fresh "$IN SELECT e2i_predict('sum', ARRAY[1])" 2>&1)" \
    "*the extension e2i_serve is at version 0.10.0, its library at $current"$'\n''HINT:  Connect again, or restart the server*'
sql a fresh "SET e2i_serve.allow_drop = on; DROP EXTENSION e2i_serve;"
is 'it is no obstacle to dropping' "$(sql a fresh "SELECT count(*) FROM pg_extension WHERE extname = 'e2i_serve'")" 0
