#!/usr/bin/env bash
# What monitoring/ brings for Prometheus and Grafana: every query of its files answers, to a role that may only monitor, and
# says what e2i_prometheus_metrics() says; promtool, where it is installed, finds nothing wrong with that.
source "$(dirname "$0")/common.sh"
MONITORING=$ROOT/monitoring

node a "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = '1h'"
sql a postgres 'CREATE DATABASE shop'
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS
    SELECT FROM e2i_register_model('sum', plus(1));
    SELECT FROM e2i_register_model('sum', plus(2));
    SELECT FROM e2i_register_model('an \"odd\" name', plus(3));
    CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher;
    CREATE ROLE grafana LOGIN; GRANT pg_monitor TO grafana;
    GRANT SELECT ON ml_bentoml_services, ml_bentoml_serving_metrics, ml_model_events TO grafana;"
call() { sql a shop "SELECT count(e2i_predict('$1', ARRAY[i])) FROM generate_series(1, $2) i" >/dev/null; }
as() { at a env "PGUSER=$1" psql -XAtq -v ON_ERROR_STOP=1 -d shop -c "SET client_min_messages = warning" -c "$2" 2>&1; }

call sum 100
call 'sum:2' 5
call 'an "odd" name' 3
failure a shop "SELECT e2i_predict('nobody', ARRAY[1])" >/dev/null || true
sql a shop "DO \$\$ BEGIN PERFORM e2i_predict('sum', '{\"y\": 1}'); EXCEPTION WHEN OTHERS THEN NULL; END \$\$"
# A version that is registered again under the same name is another one, and the same to Prometheus.
sql a shop "SELECT FROM e2i_drop_model('sum:2'); $FORGET SELECT FROM e2i_register_model('sum', plus(4), version => '2');"
call 'sum:2' 7
sql a shop "SELECT FROM e2i_flush_metrics(); SELECT FROM e2i_deploy('sum:2');"
call sum 10
sql a shop 'SELECT FROM e2i_flush_metrics()'

TEXT=$(as watcher 'SELECT e2i_prometheus_metrics()')
WITH_BUCKETS=$(as watcher 'SELECT e2i_prometheus_metrics(buckets => true)')
sample() { awk -v name="$1" 'index($0, name " ") == 1 { print substr($0, length(name) + 2) }' <<<"$TEXT"; }

is 'a version that was registered again is one sample' \
    "$(sample 'e2i_model_predictions_total{model="sum",version="2",engine="native",service="",function="e2i_predict"}')" 12
is 'no sample comes twice' "$(grep -v '^#' <<<"$TEXT" | sed 's/ [^ ]*$//' | sort | uniq -d)" ''
is 'buckets come if asked, 34 a function besides that of all' \
    "$(grep -c '_seconds_bucket{' <<<"$TEXT") $(($(grep -c '_seconds_bucket{' <<<"$WITH_BUCKETS") / $(grep -c '_seconds_bucket{' <<<"$TEXT"))) $(grep -v '_seconds_bucket{' <<<"$WITH_BUCKETS" | cmp - <(grep -v '_seconds_bucket{' <<<"$TEXT") && echo same)" \
    "$(grep -c '_seconds_count{' <<<"$TEXT") 35 same"
if have promtool; then
    is 'promtool finds nothing wrong' "$(promtool check metrics <<<"$TEXT" 2>&1 || true)$(promtool check metrics <<<"$WITH_BUCKETS" 2>&1 || true)" ''
else
    printf 'skipped - %s: promtool is not installed\n' "$TOPIC"
fi

# --- the exporters ------------------------------------------------------------------------------------------------------

# The queries of a YAML file, one a line after its name: what is indented after "query: |". The name is a key of the file for
# one exporter, a query_name for the other.
queries() {
    python3 - "$1" <<'PYTHON'
import re, sys
text = open(sys.argv[1], encoding="utf-8").read()
found = re.findall(r"^(?:(\w+):|  - query_name: (\w+)|      - name: (\w+)\n(?:        \w+: .*\n)*?)\n?( *)query: \|\n((?:\4  .*\n)+)", text, re.M)
assert len(found) == len(re.findall(r"^ *query: \|$", text, re.M)) > 0, "a query that is written in another way"
for key, name, debian, _, query in found:
    print(key or name or f"debian_{debian}", " ".join(query.split()))
PYTHON
}
declare -A ANSWER
for file in postgres_exporter/queries.yaml sql_exporter/e2i_serve.collector.yml sql_exporter/debian.yml; do
    while read -r name query; do
        ANSWER[$name]=$(as watcher "$query")
        ANSWER[${name}_with_buckets]=$(as watcher "${query/buckets => false/buckets => true}")
        like "$file: $name answers" "${ANSWER[$name]}" '?*'
        case ${ANSWER[$name]} in *ERROR:*) is "$file: $name" "${ANSWER[$name]}" 'no error' ;; esac
    done < <(queries "$MONITORING/$file")
done

# The line of an answer that begins so, without that.
line() { awk -v start="$2|" 'index($0, start) == 1 { print substr($0, length(start) + 1) }' <<<"${ANSWER[$1]}"; }
SUM='model="sum",version="1",engine="native",service="sum",function="e2i_predict"'
for name in e2i_model e2i_served; do
    is "$name: requests and predictions" "$(line $name 'sum|1|native|sum|e2i_predict')" \
        "$(sample "e2i_model_requests_total{$SUM}")|$(sample "e2i_model_predictions_total{$SUM}")"
    is "$name: as many rows as the text has samples" "$(wc -l <<<"${ANSWER[$name]}")" "$(grep -c '^e2i_model_requests_total' <<<"$TEXT")"
done
for name in e2i_model_errors e2i_failed; do
    is "$name: by kind" "$(line $name 'sum|1|native|sum|e2i_predict') $(line $name '|||')" "missing_value|1 e2i_predict|unknown_model|1"
done
for name in e2i_model_health e2i_health; do is "$name: of each service" "$(sort <<<"${ANSWER[$name]}")" $'an \\"odd\\" name|1\nsum|1'; done
# The view has rounded the mean time to nanoseconds.
rounded() { awk -F'|' '{ printf "%d|%.5f|%d\n", $1, $2, $3 }'; }
for name in e2i e2i_loaded; do
    is "$name: loads, time, memory" "$(line $name 'sum|2|native' | rounded)" \
        "$(for metric in loads_total load_seconds memory_bytes; do sample "e2i_model_$metric{model=\"sum\",version=\"2\",engine=\"native\"}"; done | paste -sd'|' | rounded)"
done
is 'nothing was lost' "${ANSWER[e2i_requests]} ${ANSWER[e2i_inference_log]} ${ANSWER[e2i_lost]}" '0 0 0|0'
for how in '' _with_buckets; do
    text=$([[ $how ]] && echo "$WITH_BUCKETS" || echo "$TEXT")
    is "e2i_latency$how: every bucket" "$(wc -l <<<"${ANSWER[e2i_latency$how]}")" "$(grep -c '^e2i_model_request_latency_seconds_bucket' <<<"$text")"
done
is 'e2i_latency: the last bucket has all' "$(line e2i_latency 'sum|1|native|sum|e2i_predict|+Inf')" "$(sample "e2i_model_request_latency_seconds_count{$SUM}")"
is 'e2i_timed: calls' "$(line e2i_timed 'sum|1|native|sum|e2i_predict' | cut -d'|' -f2)" "$(sample "e2i_model_request_latency_seconds_count{$SUM}")"
is 'e2i_model_request_latency: as many bounds as buckets, sum and count' \
    "$(line e2i_model_request_latency_with_buckets 'sum|1|native|sum|e2i_predict' | tr -cd ',' | wc -c) $(line e2i_model_request_latency 'sum|1|native|sum|e2i_predict' | cut -d'|' -f4)" \
    "$((2 * ($(grep -cF "e2i_model_request_latency_seconds_bucket{$SUM" <<<"$WITH_BUCKETS") - 2))) $(sample "e2i_model_request_latency_seconds_count{$SUM}")"
is 'both name the metrics that the text names' "$(
    {
        sed -nE 's/^  - metric_name: (\w+)$/\1/p' "$MONITORING/sql_exporter/e2i_serve.collector.yml" | sed -E 's/_(bucket|sum|count)$//'
        awk '/^[a-z]/ { sub(":", ""); name = $1 } /^    - / { column = $2; sub(":", "", column) } /usage: "(COUNTER|GAUGE|HISTOGRAM)"/ { print name "_" column }' \
            "$MONITORING/postgres_exporter/queries.yaml"
    } | sort -u
)" "$(sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' <<<"$TEXT" | sort -u)"

# The programs themselves, on a port of the loopback interface that was free a moment ago.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# page PORT TEXT: what is served there, once it has the text
page() {
    python3 - "http://127.0.0.1:$1/metrics" "$2" <<'PYTHON'
import sys, time, urllib.request
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for _ in range(100):
    try:
        page = direct.open(sys.argv[1], timeout=10).read().decode()
        if sys.argv[2] in page:
            print(page)
            break
    except OSError:
        pass
    time.sleep(0.1)
PYTHON
}
if have prometheus-postgres-exporter; then
    port=$(free_port)
    DATA_SOURCE_NAME="host=$HOST_NODES/a user=watcher dbname=shop sslmode=disable" prometheus-postgres-exporter \
        --extend.query-path="$MONITORING/postgres_exporter/queries.yaml" --disable-default-metrics --disable-settings-metrics \
        --no-collector.database --no-collector.bgwriter --web.listen-address="127.0.0.1:$port" >"$fifos/exporter.log" 2>&1 &
    exporter=$!
    PAGE=$(page "$port" e2i_model_requests_total)
    kill "$exporter"
    wait "$exporter" 2>/dev/null || true
    families() { grep '^e2i_' | sed 's/[{ ].*//' | sort | uniq -c; }
    total() { awk -v name="$1{" 'index($0, name) == 1 { all += $NF } END { print all + 0 }'; }
    is 'postgres_exporter: the samples of the text' "$(families <<<"$PAGE")" "$(families <<<"$TEXT")"
    for metric in requests_total predictions_total errors_total loads_total health_status request_latency_seconds_bucket request_latency_seconds_count; do
        is "postgres_exporter: e2i_model_$metric" "$(total "e2i_model_$metric" <<<"$PAGE")" "$(total "e2i_model_$metric" <<<"$TEXT")"
    done
else
    printf 'skipped - %s: prometheus-postgres-exporter is not installed\n' "$TOPIC"
fi

if have prometheus-sql-exporter; then
    port=$(free_port)
    sed "s|postgres://prometheus@/shop?host=/run/postgresql|postgres://watcher@/shop?host=$HOST_NODES/a|" "$MONITORING/sql_exporter/debian.yml" >"$fifos/debian.yml"
    LOGLEVEL=warn prometheus-sql-exporter -config.file "$fifos/debian.yml" -web.listen-address "127.0.0.1:$port" >"$fifos/sql_exporter.log" 2>&1 &
    exporter=$!
    PAGE=$(page "$port" e2i_inference_log_dropped_total)
    kill "$exporter"
    wait "$exporter" 2>/dev/null || true
    for metric in $(sed -nE 's/^      - name: (\w+)$/\1/p' "$MONITORING/sql_exporter/debian.yml"); do
        total() { awk -v name="$1" '{ sub(/^sql_/, "") } index($0, name "{") == 1 || index($0, name " ") == 1 { all += $NF } END { print all + 0 }'; }
        is "prometheus-sql-exporter: $metric" "$(total "$metric" <<<"$PAGE")" "$(total "$metric" <<<"$TEXT")"
    done
    is 'prometheus-sql-exporter: no query failed' "$(grep -v 'Starting sql_exporter' "$fifos/sql_exporter.log" || true)" ''
else
    printf 'skipped - %s: prometheus-sql-exporter is not installed\n' "$TOPIC"
fi

# --- Grafana ------------------------------------------------------------------------------------------------------------

# The queries of the dashboard, with what Grafana puts in place of its macros.
dashboard() {
    python3 - "$MONITORING/grafana/e2i_serve.json" <<'PYTHON'
import json, re, sys
board = json.load(open(sys.argv[1], encoding="utf-8"))
boxes = [panel["gridPos"] for panel in board["panels"]]
assert all(one is other or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
           or one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"] for one in boxes for other in boxes), "panels overlap"
assert len({panel["id"] for panel in board["panels"]}) == len(boxes), "panels share a number"
found = [(variable["name"], variable["query"]) for variable in board["templating"]["list"] if variable["type"] == "query"]
found += [(note["name"], note["target"]["rawSql"]) for note in board["annotations"]["list"] if "target" in note]
found += [(panel["title"], target["rawSql"]) for panel in board["panels"] for target in panel["targets"]]
start, end = "'2000-01-01T00:00:00Z'", "'2999-01-01T00:00:00Z'"
for name, query in found:
    query = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 BETWEEN {start} AND {end}", query)
    query = re.sub(r"\$__timeGroupAlias\(([^,]*), \$__interval\)", r'floor(extract(epoch from \1)/60)*60 AS "time"', query)
    query = query.replace("$__timeFrom()", start).replace("$__timeTo()", end).replace("${service:sqlstring}", "'sum','an \"odd\" name'")
    assert "$" not in query, query
    print(name.replace(" ", "_"), " ".join(query.split()))
PYTHON
}
while read -r name query; do
    ANSWER[$name]=$(as grafana "$query")
    like "dashboard: $name answers" "${ANSWER[$name]}" '?*'
    case ${ANSWER[$name]} in *ERROR:*) is "dashboard: $name" "${ANSWER[$name]}" 'no error' ;; esac
done < <(dashboard)
is 'dashboard: services' "${ANSWER[service]}" $'an "odd" name\nsum'
is 'dashboard: predictions of all deployments of a service' \
    "$(awk -F'|' '$2 == "sum" { all += $3 } END { print all }' <<<"${ANSWER[Predictions]}")" 110
is 'dashboard: health, as it changed' "$(cut -d'|' -f2,3 <<<"${ANSWER[Health]}" | sort -u)" $'an "odd" name|1\nsum|0\nsum|1'
is 'dashboard: what is deployed' "$(cut -d'|' -f1-3 <<<"${ANSWER[Services_now]}")" $'an "odd" name|an "odd" name:1|healthy\nsum|sum:2|healthy'
