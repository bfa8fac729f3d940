#!/usr/bin/env bash
# pg_upgrade from PostgreSQL 15 to the major that is tested: models, rights, deployments, metrics, the inference log and indexes over
# pinned calls arrive. Needs the release build for 15 beside that for the new major (`make nightly` has both).
source "$(dirname "$0")/common.sh"

library=${CARGO_TARGET_DIR:-$ROOT/target}/release/e2i_serve-pg15.so
if [[ $PG_MAJOR == 15 || ! -e $library ]]; then
    printf 'skipped - %s: from PostgreSQL 15, built for release, to a later major\n' "$TOPIC"
    exit 0
fi

# --- PostgreSQL 15, as the server's world sees it: out of a wheel, for it must run where the new one does.
"$ROOT/scripts/wheel" 15
old=$NODES/postgres-15 old_host=$HOST_NODES/postgres-15 new_bin=$PGBIN
old_bin=$old/usr/lib/postgresql/15/bin
outside mkdir -p "$HOST_NODES"
outside cp -a "$ROOT/target/postgres-15" "$old_host"
tree=$old_host/usr/lib/postgresql/15
outside mkdir -p "$tree/lib/postgresql/e2i_serve"
outside cp "$library" "$tree/lib/postgresql/e2i_serve.so"
outside cp "$ORT_DIR/libonnxruntime.so" "$tree/lib/postgresql/e2i_serve/"
outside cp "$ROOT/e2i_serve.control" "$ROOT"/sql/e2i_serve--*.sql "$tree/share/postgresql/extension/"
give_to_server "$NODES" -R

PRELOADED=("shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = 500ms" "e2i_serve.inference_log_buffer = '64MB'")
IN_WORLD=("${IN_WORLD[@]/#PATH=*/PATH=$old_bin:/usr/sbin:/usr/bin:/sbin:/bin}")
in_world mkdir -p "$NODES/a"
in_world initdb -D "$NODES/a/data" -U postgres -A trust -E UTF8 --locale=C --data-checksums --no-sync >/dev/null
node_settings a "listen_addresses = ''" "fsync = off" "dynamic_shared_memory_type = mmap" "${PRELOADED[@]}"
node_start a
sql a postgres "CREATE DATABASE shop; CREATE ROLE scorer;"
sql a shop "SET client_min_messages = warning; CREATE SCHEMA ml; CREATE EXTENSION e2i_serve SCHEMA ml; ALTER DATABASE shop SET search_path = public, ml; SET search_path = public, ml;
    $PLUS SELECT FROM e2i_register_model('sum', plus(1)); SELECT FROM e2i_register_model('sum', plus(2)); SELECT FROM e2i_set_alias('sum', 'champion', '2');
    SELECT FROM e2i_deploy('sum:2'); SELECT FROM e2i_grant_usage('scorer', 'scorer'); SELECT FROM e2i_set_inference_log('sum', sample => 1);
    CREATE TABLE points (x float4); INSERT INTO points SELECT generate_series(1, 1000);
    CREATE INDEX points_sum ON points (e2i_predict_pinned('sum:1', ARRAY[x]));
    CREATE VIEW scored AS SELECT x, e2i_predict('sum', ARRAY[x]) AS score FROM points;
    SELECT sum(score) FROM scored;" >/dev/null
wait_for a shop "SELECT count(*) = 1000 FROM ml_inference_log"
wait_for a shop "SELECT count(*) > 0 FROM ml_bentoml_serving_metrics"
kept="SELECT count(*) FROM ml_model_registry; SELECT count(*) FROM ml_model_artifacts; SELECT count(*) FROM ml_inference_log; SELECT service_name, bento_tag, status FROM ml_bentoml_services"
before=$(sql a shop "$kept")
node_stop a

# --- The new major.
IN_WORLD=("${IN_WORLD[@]/#PATH=*/PATH=$new_bin:/usr/sbin:/usr/bin:/sbin:/bin}")
in_world mkdir -p "$NODES/b"
in_world initdb -D "$NODES/b/data" -U postgres -A trust -E UTF8 --locale=C --data-checksums --no-sync >/dev/null
node_settings b "listen_addresses = ''" "fsync = off" "dynamic_shared_memory_type = mmap" "${PRELOADED[@]}"
is "pg_upgrade from 15 to $PG_MAJOR" "$(in_world bash -c "cd '$NODES/b' && pg_upgrade -b '$old_bin' -B '$new_bin' -d '$NODES/a/data' -D '$NODES/b/data' -s '$NODES/b' -U postgres" 2>&1 | tee "$fifos/log" | grep -c 'Upgrade Complete' || tail -n 30 "$fifos/log" >&2)" 1
node_start b
is 'what was kept' "$(sql b shop "$kept")" "$before"
is 'scores' "$(sql b shop "SELECT e2i_predict('sum', ARRAY[10]), e2i_predict('sum@champion', ARRAY[10]), e2i_predict_pinned('sum:1', ARRAY[10])")" '12|12|11'
is 'a view that scores' "$(sql b shop 'SELECT sum(score) FROM scored')" 502500
is 'an index over a pinned call is used, and right' "$(sql b shop "SET enable_seqscan = off; EXPLAIN (COSTS off) SELECT count(*) FROM points WHERE e2i_predict_pinned('sum:1', ARRAY[x]) < 11; SELECT count(*) FROM points WHERE e2i_predict_pinned('sum:1', ARRAY[x]) < 11" | grep -oE 'points_sum|^[0-9]+$' | sort -u | paste -sd' ')" '9 points_sum'
is 'rights' "$(sql b shop "SET ROLE scorer; SELECT e2i_predict('sum', ARRAY[10]);")" 12
wait_for b shop "SELECT count(*) > 1000 FROM ml_inference_log"
is 'a model is registered and rolled back' "$(sql b shop "SELECT e2i_register_model('sum', plus(3)); SELECT count(*) FROM e2i_deploy('sum:3'); SELECT e2i_predict('sum', ARRAY[10]); SELECT count(*) FROM e2i_rollback('sum'); SELECT e2i_predict('sum', ARRAY[10])")" $'sum:3\n1\n13\n1\n12'
