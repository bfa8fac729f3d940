#!/usr/bin/env bash
# The extension lives in any schema, and the schema may be renamed: for the sessions that are there and for new ones.
source "$(dirname "$0")/common.sh"

node a

sql a postgres "CREATE ROLE scorer; CREATE ROLE deployer; CREATE ROLE admin; CREATE DATABASE shop; ALTER DATABASE shop SET search_path = public, \"Mö dels\", b;"
sql a shop "SET client_min_messages = warning; CREATE SCHEMA \"Mö dels\"; CREATE EXTENSION e2i_serve SCHEMA \"Mö dels\"; $PLUS
    SELECT FROM e2i_register_model('sum', plus(1)); SELECT FROM e2i_register_model('sum', plus(2));"

# What a session can do, whatever came before: works WHAT SESSION MODEL
works() {
    is "$1: registering, deploying, rolling back" "$(ask "$2" "SET client_min_messages = warning;
        SELECT e2i_register_model('$3', plus(1)), e2i_register_model('$3', plus(2)), e2i_register_model('$3', plus(3));
        SELECT version FROM e2i_deploy('$3:2'); SELECT version FROM e2i_deploy('$3:3', '$3-eu'); SELECT version FROM e2i_rollback('$3');
        SELECT e2i_predict('$3', ARRAY[10]), e2i_predict('$3-eu', ARRAY[10]), e2i_predict('$3:2', ARRAY[10]), e2i_predict_pinned('$3:2', ARRAY[10]);")" \
        "$3:1|$3:2|$3:3"$'\n'"$3:2"$'\n'"$3:3"$'\n'"$3:1"$'\n''11|13|12|12'
    is "$1: aliases" "$(ask "$2" "SELECT FROM e2i_set_alias('$3', 'best', '2'); SELECT e2i_predict('$3@best', ARRAY[10]); SELECT FROM e2i_drop_alias('$3', 'best');")" 12
    is "$1: a split and a shadow" "$(ask "$2" "SELECT FROM e2i_set_traffic('$3', '{\"$3:2\": 1}'); SELECT FROM e2i_set_shadow('$3', '$3:3', 1);
        SELECT e2i_predict('$3', ARRAY[10]); SELECT shadow, shadow_answer FROM e2i_shadow_scores ORDER BY scored_at DESC LIMIT 1;
        SELECT traffic, shadow FROM e2i_services WHERE service = '$3';
        SELECT FROM e2i_set_traffic('$3', NULL); SELECT FROM e2i_set_shadow('$3', NULL);")" $'12\n'"$3:3|13"$'\n'"{\"$3:2\": 1}|$3:3"
    is "$1: stages" "$(ask "$2" "SELECT e2i_transition_stage('$3', '2', 'production', overrule => true); SELECT e2i_transition_stage('$3', '2', 'staging');
        UPDATE ml_model_registry SET stage_since = now() - interval '31 days' WHERE (model_name, model_version) = ('$3', '2');
        SELECT e2i_archive_expired(); SELECT stage, deployed_as FROM e2i_models WHERE model = '$3' AND version = '2';")" $'production\nstaging\n'"$3:2"$'\narchived|'
    is "$1: gates" "$(ask "$2" "INSERT INTO ml_stage_policies (id, stage, gate) VALUES (1000, 'archived', 'approver'), (1000, 'shadow', 'approver');
        SELECT stage FROM ml_stage_policies WHERE id >= 1000; DELETE FROM ml_stage_policies WHERE id = 1000;")" shadow
    is "$1: events" "$(ask "$2" "SELECT e2i_version_at('$3', now() + interval '1 h'); SELECT count(*) > 10 FROM ml_model_events;")" "$3:1"$'\nt'
    like "$1: events are append-only" "$(ask "$2" "DELETE FROM ml_model_events;")" 'ERROR:  events are append-only*'
    like "$1: versions are immutable" "$(ask "$2" "UPDATE ml_model_registry SET task = 'other' WHERE model_name = '$3' AND model_version = '1';")" \
        "ERROR:  model $3:1 is registered and never changes*"
    is "$1: rights" "$(ask "$2" "SELECT FROM e2i_grant_usage('scorer', 'scorer') a, e2i_grant_usage('deployer', 'deployer') b, e2i_grant_usage('admin', 'admin') c;
        SET ROLE scorer; SELECT e2i_predict('$3', ARRAY[10]); SET ROLE deployer; SELECT version FROM e2i_deploy('$3:2');
        SET ROLE admin; SELECT FROM e2i_drop_model('$3:2', force => true); UPDATE ml_stage_policies SET enabled = true WHERE gate = 'approver'; RESET ROLE;
        SELECT count(*) FROM e2i_models WHERE model = '$3';")" $'11\n'"$3:2"$'\n2'
    is "$1: what is loaded" "$(ask "$2" "SELECT e2i_prewarm('$3:1'); SELECT count(*) FROM e2i_session_cache WHERE model = '$3' AND version = '1';")" "$3:1"$'\n1'
}

session warm a shop
is 'before' "$(ask warm "SELECT e2i_predict('sum', ARRAY[10]);")" 11
works 'a name that must be quoted' warm zero

# A session hears of what another one deploys, whatever the schema was called when it resolved the name first.
ask warm "PREPARE score AS SELECT e2i_predict('sum', ARRAY[10]); EXECUTE score;" >/dev/null
sql a shop 'ALTER SCHEMA "Mö dels" RENAME TO b;'
is 'renamed: a prepared statement' "$(ask warm "EXECUTE score;")" 11
sql a shop "SELECT FROM e2i_deploy('sum:2');"
is 'renamed: hears of a deployment' "$(ask warm "EXECUTE score;")" 12
works 'the same session' warm one
session new a shop
works 'a new session' new two

# The extension can move, too, and leaves nothing behind.
sql a shop "CREATE SCHEMA c; ALTER EXTENSION e2i_serve SET SCHEMA c; ALTER DATABASE shop SET search_path = public, c;"
ask warm "SET search_path = public, c;" >/dev/null
is 'moved: a prepared statement' "$(ask warm "EXECUTE score;")" 12
works 'moved, the same session' warm three
is 'moved: nothing stays' "$(sql a shop "SELECT count(*) FROM pg_class WHERE relnamespace = 'b'::regnamespace")" 0
is 'moved: a publication' "$(sql a shop "SET client_min_messages = error; SELECT FROM e2i_publish_registry(); SELECT DISTINCT schemaname FROM pg_publication_tables;")" c
like 'dropped: unknown' "$(ask warm "SET e2i_serve.allow_drop = on; DROP EXTENSION e2i_serve CASCADE; EXECUTE score;")" '*ERROR:*'

# No body of the extension holds the name of a schema.
sql a shop "CREATE SCHEMA unheard_of; CREATE EXTENSION e2i_serve SCHEMA unheard_of;"
is 'no body holds the name' "$(sql a shop "SELECT count(*) FROM pg_proc WHERE pronamespace = 'unheard_of'::regnamespace AND concat(prosrc, proconfig) ~ 'unheard_of'")" 0
