#!/usr/bin/env bash
# Triggers that score come back from a dump, do not score what is restored or applied by replication unless that is wanted, follow
# the extension's schema, and go with the extension.
source "$(dirname "$0")/common.sh"

node a "wal_level = logical"
sql a postgres "CREATE DATABASE shop; CREATE DATABASE restored; CREATE DATABASE follower; CREATE DATABASE scorer;"
TABLE="CREATE TABLE visits (id int PRIMARY KEY, x real, note text, score float8, version text);
    CREATE TABLE parts (id int, x real, score float8) PARTITION BY RANGE (id); CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);"
sql a shop "SET client_min_messages = warning; CREATE SCHEMA ml; CREATE EXTENSION e2i_serve SCHEMA ml; $PLUS
    ALTER DATABASE shop SET search_path = public, ml; SET search_path = public, ml; $TABLE
    SELECT FROM e2i_register_model('sum', plus(1)); SELECT FROM e2i_register_model('sum', plus(2));
    SELECT FROM e2i_score_on_write('visits', 'sum', targets => '{\"score\": \"score\", \"version\": \"version\"}', on_error => 'null');
    SELECT FROM e2i_score_on_write('parts', 'sum', 'score', on_apply => true);
    INSERT INTO visits (id, x) SELECT g, g FROM generate_series(1, 3) g; INSERT INTO parts VALUES (1, 1);
    UPDATE visits SET score = -1 WHERE id = 3;"
LIST="SELECT \"table\", model, targets, on_error, fires FROM e2i_scored_on_write"
ROWS="SELECT id, x, score, version FROM visits ORDER BY id; SELECT * FROM parts"
list=$(sql a shop "$LIST") rows=$(sql a shop "$ROWS")
is 'what is installed' "$list" $'parts|sum|{"score": "score"}|error|always\nvisits|sum|{"score": "score", "version": "version"}|null|origin'

# --- a dump -----------------------------------------------------------------------------------------------------------------

sql a postgres "ALTER DATABASE restored SET search_path = public, ml"
at a pg_dump -d shop -Fc -f "$NODES/a/shop.dump"
at a pg_restore -d restored --exit-on-error -j 2 "$NODES/a/shop.dump"
is 'restored: the triggers' "$(sql a restored "$LIST")" "$list"
is 'restored: scores are those that were there' "$(sql a restored "$ROWS")" "$rows"
is 'restored: rows are scored' "$(sql a restored "INSERT INTO visits (id, x) VALUES (4, 4) RETURNING score; INSERT INTO parts VALUES (2, 2) RETURNING score")" $'5\n3'
at a pg_dump -d shop -t 'visits' --data-only --disable-triggers -f "$NODES/a/visits.sql"
sql a restored "TRUNCATE visits"
at a psql -Xq -v ON_ERROR_STOP=1 -d restored -f "$NODES/a/visits.sql" >/dev/null
is 'data alone, with triggers disabled' "$(sql a restored "$ROWS")" "$rows"$'\n2|2|3'
is 'and enabled again' "$(sql a restored "UPDATE visits SET x = x WHERE id = 3 RETURNING score")" 4

# --- another name of the extension's schema --------------------------------------------------------------------------------------

session warm a restored
is 'a session that stays' "$(ask warm "INSERT INTO visits (id, x) VALUES (10, 10) RETURNING score;")" 11
sql a restored "ALTER SCHEMA ml RENAME TO \"Mö dels\""
is 'the schema has another name: rows are scored' "$(ask warm "INSERT INTO visits (id, x) VALUES (11, 11) RETURNING score;")" 12
is 'the schema has another name: stale scores' "$(ask warm "SELECT scored_by, stale FROM \"Mö dels\".e2i_stale_scores('visits');")" 'sum|0'
is 'the schema has another name: installed anew' "$(ask warm "SET client_min_messages = error; SELECT \"Mö dels\".e2i_score_on_write('visits', 'sum', 'score'); INSERT INTO visits (id, x) VALUES (12, 12) RETURNING score, version;")" \
    $'zz_e2i_score\n13|'

# --- without the extension --------------------------------------------------------------------------------------------------------

like 'triggers depend on the extension' "$(failure a restored "SET e2i_serve.allow_drop = on; DROP EXTENSION e2i_serve")" '2BP01: cannot drop extension e2i_serve because other objects depend on it'
is 'and go with it' "$(sql a restored "SET client_min_messages = error; SET e2i_serve.allow_drop = on; DROP EXTENSION e2i_serve CASCADE; INSERT INTO visits (id, x) VALUES (20, 20) RETURNING score")" ''

# --- logical replication ----------------------------------------------------------------------------------------------------------------

for database in follower scorer; do
    sql a $database "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS $TABLE SELECT FROM e2i_register_model('sum', plus(100));"
done
sql a follower "SELECT FROM e2i_score_on_write('visits', 'sum', targets => '{\"score\": \"score\", \"version\": \"version\"}')"
sql a scorer "SELECT FROM e2i_score_on_write('visits', 'sum', targets => '{\"score\": \"score\", \"version\": \"version\"}', on_apply => true)"
sql a shop "CREATE PUBLICATION visits FOR TABLE visits"
# Both ends are one server: a slot that CREATE SUBSCRIPTION makes would wait for its own transaction.
for database in follower scorer; do
    sql a shop "SELECT FROM pg_create_logical_replication_slot('$database', 'pgoutput')"
    sql a $database "CREATE SUBSCRIPTION $database CONNECTION 'host=$NODES/a dbname=shop user=postgres application_name=$database' PUBLICATION visits
        WITH (create_slot = false, slot_name = '$database')" 2>/dev/null
    wait_for a $database "SELECT bool_and(srsubstate IN ('r', 's')) FROM pg_subscription_rel"
done
applied() { wait_for a shop "SELECT bool_and(replay_lsn >= '$(sql a shop "SELECT pg_current_wal_flush_lsn()")') AND count(*) = 2 FROM pg_stat_replication WHERE application_name IN ('follower', 'scorer')"; }
ANSWER="SELECT id, score, version FROM visits ORDER BY id"
applied
is 'the first copy is as it was scored there' "$(sql a follower "$ANSWER")" $'1|2|sum:1\n2|3|sum:1\n3|-1|sum:1'
is 'the first copy is scored here where that is wanted' "$(sql a scorer "$ANSWER")" $'1|101|sum:1\n2|102|sum:1\n3|103|sum:1'
sql a shop "INSERT INTO visits (id, x) VALUES (4, 4); UPDATE visits SET x = 10 WHERE id = 1; UPDATE visits SET note = 'seen', score = -2 WHERE id = 2" >/dev/null
applied
is 'applied as it was scored there' "$(sql a follower "$ANSWER")" $'1|11|sum:1\n2|-2|sum:1\n3|-1|sum:1\n4|5|sum:1'
# An update that is applied names all columns, whichever were written there.
is 'applied and scored here' "$(sql a scorer "$ANSWER")" $'1|110|sum:1\n2|102|sum:1\n3|103|sum:1\n4|104|sum:1'
sql a scorer "SELECT FROM e2i_deploy('sum:1', 'other'); SELECT FROM e2i_register_model('sum', plus(200), deploy => true)" 2>/dev/null
sql a shop "INSERT INTO visits (id, x) VALUES (5, 5)"
applied
is 'a deployment reaches who applies' "$(sql a scorer "SELECT score, version FROM visits WHERE id = 5")" '205|sum:2'
for database in follower scorer; do sql a $database "SET client_min_messages = warning; DROP SUBSCRIPTION $database"; done
