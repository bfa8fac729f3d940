# Sourced by the scripts beside it: servers of their own, sessions that stay open, and the lines that scripts/test counts.
#
# A node is a server with a folder of its own below the cluster's; all use the PostgreSQL that the extension was installed
# into. What a script leaves behind is stopped and deleted when it ends, however it ends.
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cluster "${E2I_CLUSTER:-dev}"

NODES=$CLUSTER/nodes HOST_NODES=$HOST_CLUSTER/nodes
TOPIC=$(basename "$0" .sh)
fifos=$(mktemp -d)
number=0 bad=0
declare -A TO FROM PSQL
SERVER_ENVIRONMENT=() # NAME=VALUE…, of servers that are started from then on

# --- nodes ----------------------------------------------------------------------------------------------------------

# Makes and starts a server: node NAME [SETTING…]
node() {
    in_world mkdir -p "$NODES/$1"
    in_world initdb -D "$NODES/$1/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    node_settings "$1" "listen_addresses = ''" "fsync = off" "logging_collector = off" "dynamic_shared_memory_type = mmap" \
        "client_min_messages = warning" "e2i_test.models = '$MODELS'" "${@:2}"
    node_start "$1"
}

# The socket is in the node's own folder: it can meet no other server.
node_settings() {
    printf '%s\n' "${@:2}" "unix_socket_directories = '$NODES/$1'" | in_world tee -a "$NODES/$1/data/postgresql.conf" >/dev/null
}

node_start() {
    in_world env "${SERVER_ENVIRONMENT[@]}" pg_ctl -D "$NODES/$1/data" -l "$NODES/$1/server.log" -w -s start >/dev/null || {
        in_world tail -n 20 "$NODES/$1/server.log" >&2
        die "$1 did not start"
    }
}

node_stop() { in_world pg_ctl -D "$NODES/$1/data" -m "${2:-fast}" -w -s stop; }

# Runs a program against a node: at NODE COMMAND…
at() { in_world env "PGHOST=$NODES/$1" "${@:2}"; }

# What a statement answers, aligned nowhere; several statements are several transactions: sql NODE DATABASE 'SQL'
sql() { at "$1" psql -XAtq -v ON_ERROR_STOP=1 -d "$2" <<<"$3"; }

# The SQLSTATE and message of a statement that fails, else what it answers: failure NODE DATABASE 'SQL'
failure() { at "$1" psql -XAtq -v ON_ERROR_STOP=1 -v VERBOSITY=verbose -d "$2" <<<"$3" 2>&1 | sed -n '/^ERROR:/{s/^ERROR: *//p;q};$p'; }

# Waits until a query answers t: wait_for NODE DATABASE 'SQL'
wait_for() {
    local i
    for ((i = 0; i < 600; i++)); do
        if [[ $(sql "$1" "$2" "$3" 2>/dev/null) == t ]]; then return; fi
        sleep 0.05
    done
    die "waited in vain on $1 for: $3"
}

# --- sessions -------------------------------------------------------------------------------------------------------

# Opens a session that stays, so that its cache stays warm: session NAME NODE DATABASE
session() {
    local to from
    mkfifo "$fifos/$1.to" "$fifos/$1.from"
    at "$2" psql -XAtq -d "$3" <"$fifos/$1.to" >"$fifos/$1.from" 2>&1 &
    PSQL[$1]=$!
    exec {to}>"$fifos/$1.to" {from}<"$fifos/$1.from"
    TO[$1]=$to FROM[$1]=$from
}

# Asks it something, and prints the answer: ask NAME 'SQL'
ask() { tell "$1" "$2"; answer "$1"; }
tell() { printf '%s\n\\echo =end=\n' "$2" >&"${TO[$1]}"; }
answer() {
    local line
    while IFS= read -r -t 60 line <&"${FROM[$1]}" && [[ $line != =end= ]]; do printf '%s\n' "$line"; done
}

# --- what a script reports --------------------------------------------------------------------------------------------

# is 'what' "$got" "$expected"
is() {
    number=$((number + 1))
    if [[ $2 == "$3" ]]; then
        printf 'ok %d - %s: %s\n' "$number" "$TOPIC" "$1"
    else
        bad=$((bad + 1))
        printf 'not ok %d - %s: %s\n    got:      %s\n    expected: %s\n' "$number" "$TOPIC" "$1" "${2//$'\n'/$'\n'              }" \
            "${3//$'\n'/$'\n'              }"
    fi
}

# like 'what' "$got" 'pattern of the shell'
like() { if [[ $2 == $3 ]]; then is "$1" "$2" "$2"; else is "$1" "$2" "something like $3"; fi; }

finish() {
    local status=$? node
    trap - EXIT
    kill "${PSQL[@]}" 2>/dev/null || true
    if ((status)) && outside test -d "$HOST_NODES"; then
        for node in $(outside ls "$HOST_NODES"); do
            if outside test -e "$HOST_NODES/$node/server.log"; then printf '%s\n' "--- $node"; outside tail -n 15 "$HOST_NODES/$node/server.log"; fi
        done
    fi
    nodes_remove
    rm -rf "$fifos"
    if ((status == 0 && bad)); then status=1; fi
    exit "$status"
}
nodes_remove() {
    local node
    if outside test -d "$HOST_NODES"; then
        for node in $(outside ls "$HOST_NODES"); do
            if outside test -e "$HOST_NODES/$node/data/postmaster.pid"; then node_stop "$node" immediate || true; fi
        done
        outside rm -rf "$HOST_NODES"
    fi
}
trap finish EXIT
trap 'exit 130' INT TERM
nodes_remove # of a run that was killed

# --- what several scripts use -----------------------------------------------------------------------------------------

# y = x + k as an ONNX graph: a model whose answers tell which version gave them.
PLUS="CREATE FUNCTION plus(k float4) RETURNS bytea LANGUAGE sql SET search_path = pg_catalog AS \$\$
    SELECT '\x08083a4c0a0e0a01780a016b12017922034164641201672a0b10014a04'::bytea
        || (SELECT string_agg(substring(float4send(k) FROM i FOR 1), '' ORDER BY i DESC) FROM generate_series(1, 4) i)
        || '\x42016b5a140a0178120f0a0d080112090a0312014e0a02080162140a0179120f0a0d080112090a0312014e0a02080142021011'
\$\$;"

# What a query answers as one text, row by row in their order; built without query_to_xml, which not every server has.
ROWS_OF="CREATE FUNCTION pg_temp.rows_of(query text) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE found text;
BEGIN
    EXECUTE format('SELECT string_agg(t::text, E''\\n'' ORDER BY t::text) FROM (%s) t', query) INTO found;
    RETURN found;
END \$\$;"

# Ends the script where the server comes without one of its own extensions, as those of wheels may: needs NAME
needs() {
    if outside test -e "$WORLD$(in_world pg_config --sharedir)/extension/$1.control"; then return; fi
    printf 'skipped - %s: this server has no %s\n' "$TOPIC" "$1"
    exit 0
}

# As if what is not there any more had never been registered: a version that was dropped is otherwise not given again.
FORGET="ALTER TABLE ml_model_events DISABLE TRIGGER events_are_append_only;
    DELETE FROM ml_model_events e WHERE action = 'register' AND NOT EXISTS (SELECT FROM ml_model_registry r WHERE (r.model_name, r.model_version) = (e.model_name, e.model_version));
    ALTER TABLE ml_model_events ENABLE TRIGGER events_are_append_only;"

# 2,000 rows, and two models for them: a pipeline, and a regression after a preprocessor of its own.
CUSTOMERS="CREATE TABLE customers (id int PRIMARY KEY, specialty text, region text, years_in_practice int, tenure_months int,
        patient_volume bigint, calls_last_quarter int, engagement_score float8, rx_last_quarter float4, is_kol boolean);
    COPY customers FROM '$MODELS/customers.csv' WITH (FORMAT csv, HEADER);
    ANALYZE customers;"
REGISTER="SELECT FROM e2i_register_model('churn', pg_read_binary_file('$MODELS/hcp_churn.onnx'), metrics => '{\"auc\": 0.78}',
        tags => '{\"team\": \"é\"}', description => 'who leaves?');
    SELECT FROM e2i_register_model('volume', pg_read_binary_file('$MODELS/hcp_two_graph.onnx'),
        preprocessor => pg_read_binary_file('$MODELS/hcp_two_graph.preprocessor.onnx'));"

# Every score of both, through a row and through jsonb: equal only where all bits are.
SCORES="SELECT count(*), count(DISTINCT churn) > 1500, count(DISTINCT volume) > 1500, md5(string_agg(concat_ws(' ',
        id, churn, volume, churn_json, volume_json, proba), '/' ORDER BY id))
    FROM (SELECT id, float8send(e2i_predict('churn', c)) AS churn, float8send(e2i_predict('volume', c)) AS volume,
            float8send(e2i_predict('churn', to_jsonb(c))) AS churn_json, float8send(e2i_predict('volume', to_jsonb(c))) AS volume_json,
            e2i_predict_proba('churn', c)::text AS proba
        FROM customers c) s;"

# A library that does DEED where ONNX Runtime would do FUNCTION (a number, see the source): runtime_that NODE NAME FUNCTION DEED
runtime_that() {
    local runtime
    runtime=$(sql "$1" postgres "SELECT setting || '/e2i_serve/libonnxruntime.so' FROM pg_config WHERE name = 'PKGLIBDIR'")
    cc -shared -fPIC -o "$fifos/$2.so" "-DREAL=\"$runtime\"" "-DFUNCTION=$3" "-DDEED=$4" "$(dirname "${BASH_SOURCE[0]}")/crashing_runtime.c" -ldl
    in_world tee "$NODES/$1/$2.so" <"$fifos/$2.so" >/dev/null
}
