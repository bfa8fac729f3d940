#!/usr/bin/env bash
# Who is denied something hears which set of rights is missing; where the library is preloaded, too, and all errors of a
# statement that begins pass through it.
source "$(dirname "$0")/common.sh"

node a "shared_preload_libraries = 'e2i_serve'"
sql a postgres "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));
    CREATE ROLE nobody LOGIN; CREATE ROLE scorer LOGIN; CREATE ROLE deployer LOGIN; CREATE ROLE admin LOGIN;
    SELECT e2i_grant_usage('scorer', 'scorer'), e2i_grant_usage('deployer', 'deployer'), e2i_grant_usage('admin', 'admin');" >/dev/null

# What is said to a role, and what is advised: denied ROLE 'SQL'
denied() { at a psql -XAtq -d postgres -U "$1" -c "$2" 2>&1 | sed -E '/^CONTEXT/d; s/^ERROR: *permission denied for //; s/^HINT: *SELECT e2i_grant_usage//'; }
for thing in 'table ml_model_registry' 'table ml_model_events' 'table ml_inference_log' 'table ml_inference_log_policies' 'view e2i_serving_stats'; do
    case $thing in *registry) kind=scorer ;; *log) kind=admin ;; *) kind=deployer ;; esac
    is "$thing" "$(denied nobody "SELECT 1 FROM ${thing#* }")" "$thing"$'\n'"('nobody', '$kind');"
done
is 'a function' "$(denied scorer "SELECT e2i_health()")" $'function e2i_health\n(\'scorer\', \'deployer\');'
is 'within a function' "$(denied deployer "SELECT e2i_shadow_report('sum')")" $'table ml_inference_log\n(\'deployer\', \'admin\');'
is 'writing what an admin may write' "$(denied deployer 'UPDATE ml_stage_policies SET enabled = false')" $'table ml_stage_policies\n(\'deployer\', \'admin\');'
is 'writing what nobody is granted' "$(denied scorer "DELETE FROM ml_model_registry"; denied admin 'DELETE FROM ml_model_aliases')" $'table ml_model_registry\ntable ml_model_aliases'
is 'what is in no set' "$(denied nobody 'SELECT 1 FROM ml_model_artifacts'; denied nobody 'SELECT e2i_publish_registry()')" $'table ml_model_artifacts\nfunction e2i_publish_registry'
is 'tables of others' "$(sql a postgres 'CREATE TABLE plain (a int)'; denied nobody 'SELECT 1 FROM plain')" 'table plain'
