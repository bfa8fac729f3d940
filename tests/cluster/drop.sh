#!/usr/bin/env bash
# DROP EXTENSION, and whatever takes the extension along, needs a word while there are models; also in a session that has not
# loaded the library. Restoring a dump with --clean needs none.
source "$(dirname "$0")/common.sh"

node a
sql a postgres "CREATE DATABASE shop; CREATE ROLE boss SUPERUSER;"
sql a shop "SET client_min_messages = warning; CREATE SCHEMA ml; SET ROLE boss; CREATE EXTENSION e2i_serve SCHEMA ml; RESET ROLE;
    ALTER DATABASE shop SET search_path = public, ml; SET search_path = public, ml; $PLUS SELECT FROM e2i_register_model('sum', plus(1));"
REFUSED='55000: the extension e2i_serve holds a version of a model and is not dropped'

for statement in 'DROP EXTENSION e2i_serve' 'DROP EXTENSION e2i_serve CASCADE' 'DROP SCHEMA ml CASCADE' 'DROP OWNED BY boss CASCADE' \
    'DROP EXTENSION plpgsql CASCADE' 'DO $$ BEGIN EXECUTE $d$DROP EXTENSION e2i_serve$d$; END $$'; do
    is "refused: $statement" "$(failure a shop "$statement")" "$REFUSED"
done
like 'says what to do' "$(at a psql -XAtq -d shop -c 'DROP EXTENSION e2i_serve' 2>&1)" "*HINT:*e2i_export_model('name:version')*SET e2i_serve.allow_drop = on;"
is 'nothing is gone' "$(sql a shop "SELECT e2i_predict('sum', ARRAY[10]), (SELECT count(*) FROM pg_event_trigger);")" '11|1'
is 'what else is dropped' "$(sql a shop "CREATE SCHEMA other; CREATE TABLE other.ml_model_registry (a int); INSERT INTO other.ml_model_registry VALUES (1);
    DROP SCHEMA other CASCADE; DROP SCHEMA IF EXISTS another; SELECT 1;" 2>/dev/null)" 1
is 'with the word, taken back' "$(sql a shop "BEGIN; SET LOCAL e2i_serve.allow_drop = on; DROP EXTENSION e2i_serve CASCADE; ROLLBACK; SELECT e2i_predict('sum', ARRAY[10]);" 2>/dev/null)" 11
is 'a failed CREATE EXTENSION' "$(sql a postgres "BEGIN; CREATE EXTENSION e2i_serve; ROLLBACK; SELECT count(*) FROM pg_event_trigger;")" 0

# A role that may not enter the extension's schema drops what is its own.
sql a shop "CREATE ROLE plain; CREATE SCHEMA plain AUTHORIZATION plain;"
is 'of a role without rights' "$(sql a shop "SET ROLE plain; DROP SCHEMA plain; SELECT 1;")" 1

# pg_restore --clean over what was dumped: the models of the dump are there afterwards, and nothing failed.
at a pg_dump -Fc -f "$NODES/a/dump" shop
sql a shop "SET client_min_messages = warning; SELECT FROM e2i_register_model('late', plus(7));"
said=$(at a pg_restore --clean --if-exists -d shop "$NODES/a/dump" 2>&1)
is 'pg_restore --clean: says nothing' "$said" ''
is 'pg_restore --clean: the log says it' "$(in_world cat "$NODES/a/server.log" | grep -c 'WARNING:  the extension e2i_serve is dropped with 2 versions of models, to be restored from a dump')" 1
is 'pg_restore --clean: restored' "$(sql a shop "SELECT e2i_predict('sum', ARRAY[10]), (SELECT string_agg(model_name, ' ') FROM ml_model_registry);")" '11|sum'

# Without the library other schemas can still be dropped.
sql a shop "UPDATE pg_proc SET probin = '\$libdir/gone' WHERE proname = 'e2i_load_library'; CREATE SCHEMA more;"
is 'without the library' "$(sql a shop "DROP SCHEMA more; SELECT 1;")" 1
is 'with the word' "$(sql a shop "SET e2i_serve.allow_drop = on; SELECT FROM e2i_predict('sum', ARRAY[1]); DROP EXTENSION e2i_serve CASCADE; SELECT count(*) FROM pg_event_trigger;" 2>/dev/null)" 0
