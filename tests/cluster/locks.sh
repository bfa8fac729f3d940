#!/usr/bin/env bash
# A role without a single right holds whatever locks it can take: registering, deploying, aliases and metrics go on.
source "$(dirname "$0")/common.sh"

node a "lock_timeout = 3s"
sql a postgres "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1)); CREATE ROLE nobody_ LOGIN;"

# Every advisory lock whose key can be guessed: by the registry's oid, by what a lock is for, by names.
at a psql -XAtq -d postgres -U nobody_ -c "
    SELECT count(pg_advisory_lock(k, n)) FROM
        unnest(array(SELECT hashtext(t) FROM unnest('{e2i_serve,e2i_serve service,e2i_serve alias,registry,interval,deploy}'::text[]) t)
            || (SELECT oid::int FROM pg_class WHERE relname = 'ml_model_registry')) k,
        unnest(array(SELECT hashtext(t) FROM unnest('{sum,sum@best,other}'::text[]) t) || '{0,1,2,3,4}'::int[]) n;
    SELECT pg_advisory_lock(oid::bigint) FROM pg_class WHERE relname LIKE 'ml_%';
    SELECT count(pg_advisory_lock(hashtext(t))) FROM unnest('{sum,e2i_serve,sum@best}'::text[]) t;
    SELECT pg_sleep(600)" >/dev/null 2>&1 &
PSQL[nobody]=$!
wait_for a postgres "SELECT count(*) > 50 FROM pg_locks WHERE locktype = 'advisory'"

is 'registering' "$(sql a postgres "SELECT e2i_register_model('sum', plus(2)), e2i_register_model('other', plus(3));")" 'sum:2|other:1'
is 'deploying' "$(sql a postgres "SELECT version, status FROM e2i_deploy('sum:2'); SELECT version FROM e2i_rollback('sum'); SELECT version FROM e2i_undeploy('other');")" \
    $'sum:2|active\nsum:1\nother:1'
is 'aliases' "$(sql a postgres "SELECT e2i_set_alias('sum', 'best', '2'); SELECT e2i_drop_alias('sum', 'best');")" ''
is 'metrics' "$(sql a postgres "SELECT e2i_flush_metrics();")" 1
is 'dropping' "$(sql a postgres "SELECT e2i_drop_model('sum:2');")" ''

# The locks that are taken stand in pg_locks, wait no longer than lock_timeout, and are gone with the transaction.
session one a postgres
ask one "BEGIN; SELECT FROM e2i_register_model('sum', plus(4));" >/dev/null
is 'pg_locks' "$(sql a postgres "SELECT locktype, classid = 'ml_model_registry'::regclass, mode, granted FROM pg_locks WHERE locktype = 'object' AND database IS NOT NULL;")" \
    'object|t|ExclusiveLock|t'
is 'another waits' "$(failure a postgres "SELECT e2i_register_model('sum', plus(5));")" '55P03: canceling statement due to lock timeout'
ask one "COMMIT;" >/dev/null
is 'until the end of the transaction' "$(sql a postgres "SELECT e2i_register_model('sum', plus(5));")" sum:4
