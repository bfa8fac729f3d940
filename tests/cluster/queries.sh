#!/usr/bin/env bash
# Queries made at random give the same with the plan node as without it: rows, errors, and what was counted.
#
# E2I_QUERY_SEED=N makes the queries of that seed, E2I_QUERIES=N so many of them; E2I_QUERY=N only runs the Nth, and shows
# both plans.
source "$(dirname "$0")/common.sh"
needs file_fdw

seed=${E2I_QUERY_SEED:-1} many=${E2I_QUERIES:-200}
first=${E2I_QUERY:-1} last=${E2I_QUERY:-$many}
here=$(dirname "${BASH_SOURCE[0]}")

node a "shared_preload_libraries = 'e2i_serve'" "max_worker_processes = 16" "max_parallel_workers = 8" "parallel_setup_cost = 0" \
    "parallel_tuple_cost = 0" "min_parallel_table_scan_size = 0" "min_parallel_index_scan_size = 0" "search_path = 'queries, public'" \
    "autovacuum = off"
sql a postgres "CREATE EXTENSION e2i_serve; $CUSTOMERS $REGISTER" >/dev/null
sql a postgres "$(cat "$here/queries.sql")" >/dev/null
sql a postgres "SET queries.seed = $seed; SET queries.at = 0; SELECT make($many);" >/dev/null

sql a postgres "CALL answer($first, $last);"
# What differs: differing RUN 'CONDITION'
differing() {
    sql a postgres "SELECT format(E'%s: %s [%s; %s]\n  off: %s, %s\n  $1: %s, %s', n, statement, manner, array_to_string(settings, ' '), f.answer, f.counted, o.answer, o.counted)
        FROM asked JOIN answers f USING (n) JOIN answers o USING (n) JOIN answers a USING (n)
        WHERE (f.run, o.run, a.run) = ('off', '$1', 'again') AND (f.answer, f.counted) = (a.answer, a.counted) AND $2 ORDER BY n LIMIT 20;"
}
is "$((last - first + 1)) queries of seed $seed: the same rows and errors" "$(differing on 'f.answer <> o.answer')" ''
# Processes that work side by side are stopped somewhere when one of them fails.
is 'and as many calls' "$(differing on "f.counted <> o.counted AND (f.answer LIKE 'ZZ000%' OR NOT is_parallel)")" ''
# Which plan it is may change with that; of the rows that a LIMIT picks, others then, the order of those without one, and of the errors another.
is 'and the same as planned without knowing the model' "$(differing opaque "f.answer <> o.answer AND NOT (kind = 'f' AND (statement ~ 'LIMIT' OR manner IN ('loop', 'cursor', 'back')))
    AND (f.answer LIKE 'ZZ000%' OR o.answer LIKE 'ZZ000%')")" ''
if [[ ${E2I_QUERY:-} ]]; then
    sql a postgres "SELECT statement, manner, settings FROM asked WHERE n = $first; SELECT * FROM answers;" >&2
else
    is 'two in five of which are batched, one in three has an answer, nearly all the same when asked again' "$(sql a postgres "SELECT count(*) FILTER (WHERE is_batched(statement)) * 5 > count(*) * 2,
        count(*) FILTER (WHERE f.answer LIKE 'ZZ000%') * 3 > count(*), count(*) FILTER (WHERE f.answer = a.answer) * 20 > count(*) * 19
        FROM asked JOIN answers f USING (n) JOIN answers a USING (n) WHERE f.run = 'off' AND a.run = 'again';")" 't|t|t'
fi
