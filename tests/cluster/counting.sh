#!/usr/bin/env bash
# What is a request: a statement that uses a model, at each place where it does, whichever processes work on it; an evaluation of
# an expression by PL/pgSQL; a payload.
source "$(dirname "$0")/common.sh"

node a "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = '1h'" \
    "max_parallel_workers_per_gather = 2" "min_parallel_table_scan_size = 0" "parallel_setup_cost = 0" "parallel_tuple_cost = 0"
sql a postgres 'CREATE DATABASE shop;'
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));
    CREATE TABLE numbers AS SELECT i, ARRAY[i]::float4[] AS x FROM generate_series(1, 20000) i; ANALYZE numbers;
    CREATE FUNCTION half(x float4[]) RETURNS float8 LANGUAGE plpgsql STABLE PARALLEL SAFE AS \$\$
        DECLARE s float8; BEGIN s := e2i_predict('sum', x); RETURN s / 2; END \$\$;
    CREATE PROCEDURE ten() LANGUAGE plpgsql AS \$\$
        DECLARE s float8; BEGIN FOR i IN 1..10 LOOP s := e2i_predict('sum', ARRAY[i]); COMMIT; END LOOP; END \$\$;
    CREATE FUNCTION judged(n int) RETURNS int LANGUAGE plpgsql AS \$\$
        DECLARE k int := 0; BEGIN FOR i IN 1..n LOOP IF e2i_predict('sum', ARRAY[i]) > 5 THEN k := k + 1; END IF; END LOOP; RETURN k; END \$\$;"

SEEN="SELECT sum(requests) || ' ' || sum(predictions) || ' ' || sum(errors) FROM e2i_serving_stats"
# counts WHAT 'SQL' 'REQUESTS PREDICTIONS ERRORS', three times: which process comes first is chance.
counts() {
    local try got=''
    for try in 1 2 3; do
        sql a shop 'SELECT FROM e2i_serving_stats_reset()'
        at a psql -XAtq -d shop <<<"$2" >/dev/null 2>&1 || true
        got+="$(sql a shop "$SEEN")/"
    done
    is "$1" "$got" "$3/$3/$3/"
}

like 'a parallel plan' "$(sql a shop "EXPLAIN SELECT sum(e2i_predict('sum', x)) FROM numbers")" '*Workers Planned: 2*'
counts 'a parallel scan' "SELECT sum(e2i_predict('sum', x)) FROM numbers" '1 20000 0'
counts 'two functions of one service' "SELECT sum(e2i_predict('sum', x)), sum((e2i_predict_vector('sum', x))[1]) FROM numbers" '2 40000 0'
counts 'three places' "SELECT sum(e2i_predict('sum', x)), sum(e2i_predict('sum', x) + 1), sum((e2i_predict_vector('sum', x))[1]) FROM numbers" '3 60000 0'
counts 'two functions, twice each' "SELECT sum(e2i_predict('sum', x)), sum(e2i_predict('sum', x) + 1), sum((e2i_predict_vector('sum', x))[1]),
    sum((e2i_predict_vector('sum', x))[1] + 1) FROM numbers" '4 80000 0'
counts 'in the condition and in the answer' "SELECT max(e2i_predict('sum', x)) FROM numbers WHERE e2i_predict('sum', x) > 0" '2 40000 0'
counts 'in one process' "SET max_parallel_workers_per_gather = 0; SELECT max(e2i_predict('sum', x)) FROM numbers WHERE e2i_predict('sum', x) > 0" '2 40000 0'
counts 'without the leader' "SET parallel_leader_participation = off; SELECT sum(e2i_predict('sum', x)), sum((e2i_predict_vector('sum', x))[1]) FROM numbers" '2 40000 0'
counts 'a loop over a parallel plan' "DO \$\$ BEGIN FOR i IN 1..10 LOOP PERFORM sum(e2i_predict('sum', x)) FROM numbers; END LOOP; END \$\$" '10 200000 0'
counts 'payloads in a parallel plan' "SELECT count(e2i_serve('sum', jsonb_build_object('features', x))) FROM numbers WHERE i <= 2000" '2000 2000 0'
counts 'a function that scores, in a parallel plan' "SELECT sum(half(x)) FROM numbers WHERE i <= 500" '500 500 0'
counts 'an assignment in a loop' "DO \$\$ DECLARE s float8; BEGIN FOR i IN 1..1000 LOOP s := e2i_predict('sum', ARRAY[i]); END LOOP; END \$\$" '1000 1000 0'
counts 'PERFORM in a loop' "DO \$\$ BEGIN FOR i IN 1..1000 LOOP PERFORM e2i_predict('sum', ARRAY[i]); END LOOP; END \$\$" '1000 1000 0'
counts 'a condition in a loop of a function' "SELECT judged(300)" '300 300 0'
counts 'a procedure that commits' "CALL ten()" '10 10 0'
counts 'a query of a function' "SELECT count(e2i_predict('sum', x)) FROM numbers WHERE i <= 100; SELECT judged(7)" '8 107 0'
counts 'caught errors' "DO \$\$ BEGIN FOR i IN 1..20 LOOP BEGIN PERFORM e2i_predict('sum', '{\"y\": 1}'); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END \$\$" '20 0 20'
counts 'text that is no JSON' "SELECT e2i_predict('sum', '{bad')" '1 0 1'
counts 'text that is JSON, and cannot be kept' "SELECT e2i_predict('sum', '{\"x\": \"\\u0000\"}')" '1 0 1'
counts 'a payload that is no JSON' "SELECT e2i_serve('sum', '{bad'::text)" '1 0 1'
counts 'an index' "CREATE INDEX scores ON numbers (e2i_predict_pinned('sum:1', x)); DROP INDEX scores" '1 20000 0'
