#!/usr/bin/env bash
# postgres_fdw ships a pinned call to the server that has the rows, where the model's version is registered too.
source "$(dirname "$0")/common.sh"
needs postgres_fdw

node here
node there
for one in here there; do
    sql "$one" postgres "CREATE DATABASE shop"
    sql "$one" shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));"
done
sql there shop "CREATE TABLE points (id int, features text); INSERT INTO points SELECT i, format('[%s]', i) FROM generate_series(1, 100) i;"
sql here shop "CREATE EXTENSION postgres_fdw;
    CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$NODES/there', dbname 'shop', extensions 'e2i_serve');
    CREATE USER MAPPING FOR CURRENT_USER SERVER there OPTIONS (user 'postgres', password_required 'false');
    CREATE FOREIGN TABLE points (id int, features text) SERVER there;"

like 'a condition is shipped' "$(sql here shop "EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM points WHERE e2i_predict_pinned('sum:1', features) > 98")" \
    '*Remote SQL:*WHERE*e2i_predict_pinned*'
is 'and answered' "$(sql here shop "SELECT id, e2i_predict_pinned('sum:1', features) FROM points WHERE e2i_predict_pinned('sum:1', features) > 98 ORDER BY 1")" \
    $'98|99\n99|100\n100|101'
like 'an order is shipped' "$(sql here shop "EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM points ORDER BY e2i_predict_pinned('sum:1', features) DESC LIMIT 1")" \
    '*Remote SQL:*ORDER BY*e2i_predict_pinned*'
is 'and answered as it should' "$(sql here shop "SELECT id FROM points ORDER BY e2i_predict_pinned('sum:1', features) DESC LIMIT 1")" 100
# What can change with a deploy stays here.
is 'another call is not shipped' "$(sql here shop "EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM points WHERE e2i_predict('sum', features) > 98" | grep -c 'Remote SQL.*e2i_predict')" 0

