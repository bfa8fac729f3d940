#!/usr/bin/env bash
# Metrics and health are written whatever is in the way of the inference log, and of what is tidied up; nobody who reads the log
# waits for it; a record that cannot be written costs itself alone.
source "$(dirname "$0")/common.sh"

node a "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = '1h'" "e2i_serve.inference_log_buffer = '16MB'"
sql a postgres 'CREATE DATABASE shop;'
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));
    SELECT FROM e2i_set_inference_log('sum', sample => 1);
    CREATE FUNCTION day(back int) RETURNS text LANGUAGE sql AS \$\$ SELECT to_char(now() AT TIME ZONE 'UTC' - make_interval(days => back), 'YYYYMMDD') \$\$;
    CREATE PROCEDURE partition_of(back int) LANGUAGE plpgsql AS \$\$ BEGIN
        EXECUTE format('CREATE TABLE ml_inference_log_%1\$s (LIKE ml_inference_log INCLUDING CONSTRAINTS);
            ALTER TABLE ml_inference_log ATTACH PARTITION ml_inference_log_%1\$s FOR VALUES FROM (%2\$L) TO (%3\$L)',
            day(back), (now() AT TIME ZONE 'UTC')::date - back || ' 00:00+00', (now() AT TIME ZONE 'UTC')::date - back + 1 || ' 00:00+00'); END \$\$;"

score() { sql a shop "SELECT count(e2i_predict('sum', ARRAY[i])) FROM generate_series(1, $1) i" >/dev/null; }
logged() { wait_for a shop "SELECT count(*) = $1 FROM ml_inference_log"; }
warnings() { sql a shop 'SELECT FROM e2i_flush_metrics()' 2>&1 | sed -n 's/^WARNING:  //p'; }
PARTITIONS="SELECT count(*) FROM pg_inherits WHERE inhparent = 'ml_inference_log'::regclass"
METRICS="SELECT count(*) FROM ml_bentoml_serving_metrics"
DROPPED="SELECT substring(e2i_prometheus_metrics() FROM 'e2i_inference_log_dropped_total (\\d+)')::int"
# Has the worker do an interval, and waits for its row.
interval() {
    local before
    before=$(sql a shop "$METRICS")
    sql a postgres "ALTER SYSTEM SET e2i_serve.metrics_interval = '300ms'; SELECT FROM pg_reload_conf();"
    wait_for a shop "SELECT count(*) > $before FROM ml_bentoml_serving_metrics"
    sql a postgres "ALTER SYSTEM RESET e2i_serve.metrics_interval; SELECT FROM pg_reload_conf();"
}
server_log() { outside grep -c "$1" "$HOST_NODES/a/server.log" || true; }

score 1
logged 1
sql a shop 'SELECT FROM e2i_flush_metrics()'
is 'a partition for today, and one for tomorrow' "$(sql a shop "SELECT string_agg(inhrelid::regclass::text, ' ' ORDER BY inhrelid::regclass::text) = format('ml_inference_log_%s ml_inference_log_%s', day(0), day(-1)) FROM pg_inherits WHERE inhparent = 'ml_inference_log'::regclass")" t

# --- one process that stays while there is something to write, and goes -----------------------------------------------------

sql a shop "SELECT e2i_predict('sum', ARRAY[0])" >/dev/null
wait_for a shop "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'e2i_serve metrics' AND datname = 'shop'"
worker=$(sql a shop "SELECT pid FROM pg_stat_activity WHERE backend_type = 'e2i_serve metrics' AND datname = 'shop'")
for ((i = 1; i <= 4; i++)); do
    sql a shop "SELECT e2i_predict('sum', ARRAY[0])" >/dev/null
    logged $((2 + i))
done
is 'one worker writes what comes soon after' "$(sql a shop "SELECT pid FROM pg_stat_activity WHERE backend_type = 'e2i_serve metrics' AND datname = 'shop'")" "$worker"
wait_for a shop "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'e2i_serve metrics' AND datname = 'shop'"
is 'and ends when nothing comes' "$(sql a shop 'SELECT count(*) FROM ml_inference_log')" 6
sql a shop 'TRUNCATE ml_inference_log'

# --- a database that is read-only by default ------------------------------------------------------------------------------------

sql a postgres "ALTER DATABASE shop SET default_transaction_read_only = on"
score 5
logged 5
interval
is 'read-only by default: the log and metrics are written' "$(sql a shop 'SELECT count(*) FROM ml_inference_log')" 5
sql a postgres "ALTER DATABASE shop RESET default_transaction_read_only"

# --- who holds the log -------------------------------------------------------------------------------------------------------------

session holder a shop
ask holder 'BEGIN; LOCK TABLE ml_inference_log IN ACCESS EXCLUSIVE MODE;' >/dev/null
score 4
interval
is 'the log is locked: metrics and health are written' "$(sql a shop 'SELECT health FROM e2i_services')" healthy
like 'the log is locked: who asks is told' "$(sql a shop "SET lock_timeout = '100ms'; SELECT FROM e2i_flush_metrics(); SELECT 1" 2>&1)" \
    $'WARNING:  records of the inference log wait: canceling statement due to lock timeout*1'
ask holder 'COMMIT;' >/dev/null
logged 9
is 'and nothing is lost' "$(sql a shop 'SELECT count(*) FROM ml_inference_log')" 9

# A long reader: partitions of days to come are made beside it, old ones stay until it has gone, and nobody waits behind.
ask holder 'BEGIN; SELECT count(*) FROM ml_inference_log;' >/dev/null
sql a shop 'CALL partition_of(40)'
score 2
logged 11
is 'a long reader: a row of metrics' "$(warnings; sql a shop "$PARTITIONS")" 3
is 'a long reader: another reader does not wait' "$(sql a shop "SET lock_timeout = '50ms'; SELECT count(*) FROM ml_inference_log")" 11
ask holder 'COMMIT;' >/dev/null
is 'and goes: the old partition is dropped' "$(warnings; sql a shop "$PARTITIONS")" 2

# In the middle of a transaction nothing is dropped, for nobody could read until its end.
sql a shop 'CALL partition_of(40)'
ask holder 'BEGIN; SELECT FROM e2i_flush_metrics();' >/dev/null
is 'a flush in a transaction: another reader does not wait' "$(sql a shop "SET lock_timeout = '50ms'; SELECT count(*) FROM ml_inference_log")" 11
ask holder 'COMMIT;' >/dev/null

# --- a view on an old partition ---------------------------------------------------------------------------------------------------------

sql a shop "BEGIN; CALL partition_of(41); DO \$\$ BEGIN EXECUTE format('CREATE VIEW keep AS SELECT count(*) FROM ml_inference_log_%s', day(41)); END \$\$; COMMIT;"
like 'a view on an old partition: that is kept, the other goes' "$(warnings; sql a shop "$PARTITIONS")" \
    'the partition public.ml_inference_log_* is kept: cannot drop table *ml_inference_log_* because other objects depend on it'$'\n'3
interval
interval
is 'the worker goes on, and says it once' "$(server_log 'LOG:  e2i_serve: the partition public.ml_inference_log_.* is kept')" 1
sql a shop 'DROP VIEW keep'
is 'without the view it goes' "$(warnings; sql a shop "$PARTITIONS")" 2

# --- names that are taken, by a table of another kind ----------------------------------------------------------------------------------

sql a shop "TRUNCATE ml_inference_log; DO \$\$ DECLARE p regclass; BEGIN
    FOR p IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'ml_inference_log'::regclass LOOP EXECUTE format('DROP TABLE %s', p); END LOOP;
    CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
    EXECUTE format('CREATE FOREIGN TABLE ml_inference_log_%s (a int) SERVER nowhere; CREATE TABLE ml_inference_log_%s (a int); CREATE TYPE ml_inference_log_%s_2 AS (a int);
        CREATE TABLE ml_inference_log_%s (a int)', day(0), day(-1), day(0), day(50));
END \$\$"
score 3
logged 3
is 'taken names: other ones are found' "$(warnings; sql a shop "SELECT string_agg(replace(replace(inhrelid::regclass::text, day(0), 'today'), day(-1), 'tomorrow'), ' ' ORDER BY inhrelid) FROM pg_inherits WHERE inhparent = 'ml_inference_log'::regclass")" \
    'ml_inference_log_today_3 ml_inference_log_tomorrow_2'
is 'taken names: what has them stays' "$(sql a shop "SELECT count(*) FROM pg_class WHERE relname IN ('ml_inference_log_' || day(0), 'ml_inference_log_' || day(-1), 'ml_inference_log_' || day(50))")" 3

sql a shop "TRUNCATE ml_inference_log; DO \$\$ DECLARE p regclass; BEGIN
    FOR p IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'ml_inference_log'::regclass LOOP EXECUTE format('DROP TABLE %s', p); END LOOP;
    FOR k IN 3..30 LOOP EXECUTE format('CREATE DOMAIN ml_inference_log_%s_%s AS int', day(0), k); END LOOP;
END \$\$"
score 3
logged 3
like 'all likely names are taken: one that nobody guesses is found' "$(warnings; sql a shop "SELECT replace(tableoid::regclass::text, day(0), 'today') FROM ml_inference_log LIMIT 1")" \
    'ml_inference_log_today_?????*'

# --- one bad record -------------------------------------------------------------------------------------------------------------------------

sql a shop 'ALTER TABLE ml_inference_log ADD CONSTRAINT no_seven CHECK (prediction <> 7)'
before=$(sql a shop "$DROPPED")
score 700
logged 702
is 'a record that the table refuses costs itself alone' "$(sql a shop "SELECT ($DROPPED) - $before, count(*) FILTER (WHERE prediction = 7) FROM ml_inference_log")" '1|0'
is 'and the log says why' "$(server_log 'a record of the inference log is given up: new row for relation .* violates check constraint')" 1
sql a shop 'ALTER TABLE ml_inference_log DROP CONSTRAINT no_seven; TRUNCATE ml_inference_log'
sql a shop "CREATE FUNCTION no_nine() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE 'not this one' USING ERRCODE = 'ZZ099'; END \$\$;
    CREATE TRIGGER no_nine BEFORE INSERT ON ml_inference_log FOR EACH ROW WHEN (NEW.prediction = 9) EXECUTE FUNCTION no_nine()"
before=$(sql a shop "$DROPPED")
score 20
logged 19
is 'also where a trigger refuses it with a code of its own' "$(sql a shop "SELECT ($DROPPED) - $before, count(*) FILTER (WHERE prediction = 9) FROM ml_inference_log")" '1|0'
sql a shop 'DROP TRIGGER no_nine ON ml_inference_log; TRUNCATE ml_inference_log'

# --- an event trigger that raises -----------------------------------------------------------------------------------------------------------

sql a shop "DO \$\$ DECLARE p regclass; BEGIN
    FOR p IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'ml_inference_log'::regclass LOOP EXECUTE format('DROP TABLE %s', p); END LOOP; END \$\$;
    CREATE FUNCTION no_tables() RETURNS event_trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE 'no tables today'; END \$\$;
    CREATE EVENT TRIGGER no_tables ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION no_tables();"
before=$(sql a shop "$DROPPED")
score 4
interval
like 'an event trigger that raises: records wait' "$(warnings)" '*records of the inference log wait: no tables today*'
sql a shop 'DROP EVENT TRIGGER no_tables'
logged 4
is 'and are written without it' "$(sql a shop "SELECT ($DROPPED) - $before")" 0

# --- another schema, and records of other days -----------------------------------------------------------------------------------------------

sql a shop "CREATE SCHEMA moved; CALL partition_of(45); ALTER EXTENSION e2i_serve SET SCHEMA moved; ALTER DATABASE shop SET search_path = public, moved;"
PARTITIONS=${PARTITIONS//"'ml_inference_log'"/"'moved.ml_inference_log'"}
score 2
logged 6
is 'moved: the log goes on, old partitions go' "$(warnings; sql a shop "SELECT DISTINCT inhrelid::regclass::text ~ day(45) FROM pg_inherits WHERE inhparent = 'ml_inference_log'::regclass")" f
sql a shop "DO \$\$ DECLARE p regclass; BEGIN
    FOR p IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'ml_inference_log'::regclass LOOP EXECUTE format('DROP TABLE %s', p); END LOOP; END \$\$"
score 1
logged 1
is 'moved: partitions are made beside the log' "$(sql a shop "SELECT DISTINCT c.relnamespace::regnamespace FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE inhparent = 'ml_inference_log'::regclass")" moved

# Records that waited for days: the file that a clean shutdown keeps, with other days in it.
ask holder 'BEGIN; LOCK TABLE ml_inference_log IN ACCESS EXCLUSIVE MODE;' >/dev/null
score 5
node_stop a
python3 - "$HOST_NODES/a/data/pg_stat_tmp/e2i_serve.records" <<'PYTHON'
import re, struct, sys
data = open(sys.argv[1], 'rb').read()
out, number, back = b'', 0, [0, 5, 20, 400, 0]
while data:
    database, length = struct.unpack('<II', data[:8])
    record, data = data[8:8 + length], data[8 + length:]
    record = re.sub(rb'"logged_at":"(\d+)"', lambda m: b'"logged_at":"%d"' % (int(m[1]) - back[number] * 86400000000), record)
    out += struct.pack('<II', database, len(record)) + record
    number += 1
open(sys.argv[1], 'wb').write(out)
PYTHON
node_start a
logged 5
is 'records of other days get partitions; one too old is given up alone' "$(sql a shop "SELECT ($DROPPED), count(DISTINCT logged_at::date) FROM ml_inference_log")" '1|3'

# --- more databases than workers ---------------------------------------------------------------------------------------------------------------

# Places for the launcher, the server's own for subscriptions, and one.
node b "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = '1h'" "max_worker_processes = 3"
for database in x y z; do
    sql b postgres "CREATE DATABASE $database"
    sql b $database "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));
        SELECT FROM e2i_set_inference_log('sum', sample => 1);"
done
for ((i = 1; i <= 5; i++)); do
    for database in x y z; do sql b $database "SELECT e2i_predict('sum', ARRAY[$i])" >/dev/null; done
done
for database in x y z; do wait_for b $database 'SELECT count(*) = 5 FROM ml_inference_log'; done
is 'one worker for three databases' "$(for database in x y z; do sql b $database 'SELECT sum(prediction) FROM ml_inference_log'; done)" $'20\n20\n20'
sql b postgres 'ALTER DATABASE x RENAME TO w; DROP DATABASE y;'
is 'which can be renamed and dropped soon after' "$(sql b w 'SELECT count(*) FROM ml_inference_log')" 5
