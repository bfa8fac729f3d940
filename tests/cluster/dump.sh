#!/usr/bin/env bash
# A dump brings everything back: models with their bytes, aliases, deployments, policies, events and rights, and the scores
# are equal to the last bit. E2I_LARGE=1 adds a model of 700 MB.
source "$(dirname "$0")/common.sh"

node a
node b

sql a postgres "CREATE ROLE scorer; CREATE ROLE deployer; CREATE DATABASE shop;"
sql b postgres "CREATE ROLE scorer; CREATE ROLE deployer;"
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS $CUSTOMERS $REGISTER
    SELECT FROM e2i_register_model('sum', plus(1)); SELECT FROM e2i_register_model('sum', plus(2)); SELECT FROM e2i_register_model('sum', plus(3));
    SELECT FROM e2i_register_model('same bytes', plus(1), deploy => false);
    SELECT FROM e2i_deploy('sum:2', reason => 'spring'); SELECT FROM e2i_deploy('sum:3'); SELECT FROM e2i_rollback('sum', reason => 'summer');
    SELECT FROM e2i_deploy('sum:3', 'sum-eu');
    SELECT FROM e2i_set_alias('sum', 'champion', '3'); SELECT FROM e2i_set_alias('churn', 'champion', '1');
    UPDATE ml_stage_policies SET at_least = 0.72, description = 'as agreed' WHERE stage = 'staging' AND metric = 'auc';
    UPDATE ml_stage_policies SET enabled = false WHERE stage = 'shadow' AND metric = 'r2';
    INSERT INTO ml_stage_policies (stage, gate) VALUES ('shadow', 'approver');
    INSERT INTO ml_reason_texts (feature, direction, language, text, model) VALUES ('age', 'up', 'de', 'Alter {value}', 'churn'), (NULL, 'down', 'en', '{feature}', NULL);
    SELECT FROM e2i_transition_stage('churn', '1', 'staging', reason => 'good enough');
    SELECT FROM e2i_calibrate('sum:1', 'SELECT i AS x, i + 1 + i / 7.0 AS y, 1 + i % 2 AS g FROM generate_series(1, 9) i', 'y', by => 'g', weights => 'g');
    SELECT FROM e2i_calibrate('churn', 'SELECT *, id % 3 = 0 AS t FROM customers', 't', method => 'isotonic');
    SELECT FROM e2i_grant_usage('scorer', 'scorer'); SELECT FROM e2i_grant_usage('deployer', 'deployer');
    CREATE MATERIALIZED VIEW scored AS SELECT id, e2i_predict('churn', c) AS churn FROM customers c;"

# Every row of the extension's tables, and where their numbers will go on.
STATE="$ROWS_OF SELECT relname, pg_temp.rows_of('TABLE ' || c.oid::regclass)
        FROM pg_class c WHERE relname ~ '^ml_' AND relkind = 'r' AND relname <> 'ml_model_artifacts'
    UNION ALL SELECT 'artifact ' || sha256::text, string_agg(chunk || md5(bytes), ' ' ORDER BY chunk) FROM ml_model_artifacts GROUP BY sha256
    UNION ALL SELECT sequencename, last_value::text FROM pg_sequences WHERE sequencename ~ '^ml_' ORDER BY 1;"
ANSWERS="SELECT e2i_predict('sum', ARRAY[10]), e2i_predict('sum-eu', ARRAY[10]), e2i_predict('sum@champion', ARRAY[10]), e2i_predict('same bytes:1', ARRAY[10]);"
SURE="SELECT e2i_predict_interval('sum:1', '{\"x\": 10, \"g\": 1}', 0.5); SELECT sum(e2i_predict_calibrated('churn', c)) FROM customers c;"
sure=$(sql a shop "$SURE")
like 'intervals and calibrated probabilities' "$sure" $'(11,*,*,0.5,*)\n*'
scores=$(sql a shop "$SCORES") state=$(sql a shop "$STATE")
like 'the models tell customers apart' "$scores" '2000|t|t|*'
is 'deployments and aliases' "$(sql a shop "$ANSWERS")" '12|13|13|11'

# What holds of every restored database: came_back WHAT DATABASE
came_back() {
    is "$1: every row and number" "$(sql b "$2" "$STATE" | md5sum)" "$(md5sum <<<"$state")"
    is "$1: 2,000 rows score bit for bit" "$(sql b "$2" "$SCORES")" "$scores"
    is "$1: deployments and aliases" "$(sql b "$2" "$ANSWERS")" '12|13|13|11'
    is "$1: intervals and calibrated probabilities" "$(sql b "$2" "$SURE")" "$sure"
}
# And what it can do: goes_on WHAT DATABASE
goes_on() {
    is "$1: registering, deploying and rolling back go on" "$(sql b "$2" "SET client_min_messages = warning;
        SELECT e2i_register_model('sum', plus(4)); SELECT status FROM e2i_deploy('sum:4', reason => 'after'); SELECT e2i_predict('sum', ARRAY[10]);
        SELECT version FROM e2i_rollback('sum'); SELECT e2i_register_model('new', plus(5));
        SELECT e2i_version_at('sum', now() + interval '1 h');")" $'sum:4\nactive\n14\nsum:2\nnew:1\nsum:2'
    is "$1: every number once, later ones larger" "$(sql b "$2" "
        SELECT count(*) = count(DISTINCT deployment), max(deployment) = (SELECT deployment FROM ml_bentoml_services WHERE service_name = 'new')
        FROM ml_bentoml_services;
        SELECT (SELECT array_agg(action ORDER BY id DESC) FROM (SELECT * FROM ml_model_events ORDER BY id DESC LIMIT 5) e);")" \
        $'t|t\n{deploy,register,rollback,deploy,register}'
    is "$1: policies can be added" "$(sql b "$2" "INSERT INTO ml_stage_policies (stage, gate) VALUES ('archived', 'approver') RETURNING id;
        SELECT count(*) FROM ml_stage_policies")" $'11\n11'
    is "$1: a version does not change" "$(failure b "$2" "UPDATE ml_model_registry SET task = 'other' WHERE model_name = 'sum'")" \
        '55000: model sum:1 is registered and never changes'
    is "$1: rights" "$(sql b "$2" "SET ROLE scorer; SELECT e2i_predict('sum', ARRAY[10]);
        SELECT has_table_privilege('ml_model_events', 'select'), has_table_privilege('ml_model_artifacts', 'select');
        SET ROLE deployer; SELECT version FROM e2i_deploy('sum:3');")" $'12\nf|f\nsum:3'
}

# --- text -----------------------------------------------------------------------------------------------------------

sql b postgres "CREATE DATABASE plain"
is 'pg_dump | psql: no error' "$(at a pg_dump shop | at b psql -Xq -v ON_ERROR_STOP=1 -d plain 2>&1 >/dev/null)" ''
came_back 'pg_dump | psql' plain
goes_on 'pg_dump | psql' plain

# --- archive -----------------------------------------------------------------------------------------------------------

at a pg_dump -Fc -f "$NODES/shop.dump" shop
sql b postgres "CREATE DATABASE custom"
is 'pg_restore: no error' "$(at b pg_restore -d custom "$NODES/shop.dump" 2>&1)" ''
came_back 'pg_restore' custom
is 'pg_restore: a materialized view of scores' "$(sql b custom "SELECT count(*) FILTER (WHERE churn = e2i_predict('churn', c)) FROM scored JOIN customers c USING (id)")" 2000
goes_on 'pg_restore' custom

# By four jobs, which load tables in any order and at once.
sql b postgres "CREATE DATABASE four"
is 'pg_restore -j4: no error' "$(at b pg_restore -j4 -d four "$NODES/shop.dump" 2>&1)" ''
came_back 'pg_restore -j4' four
is 'pg_restore -j4: a materialized view of scores' "$(sql b four "SELECT count(*) FILTER (WHERE churn = e2i_predict('churn', c)) FROM scored JOIN customers c USING (id)")" 2000
goes_on 'pg_restore -j4' four

# --- definitions first, rows later --------------------------------------------------------------------------------------

sql b postgres "CREATE DATABASE twice"
at a pg_dump --schema-only shop | at b psql -Xq -v ON_ERROR_STOP=1 -d twice >/dev/null
is '--schema-only: nothing but the policies that come with the extension' "$(sql b twice "SELECT (SELECT count(*) FROM ml_model_registry),
    (SELECT count(*) FROM ml_model_artifacts), (SELECT count(*) FROM ml_model_events), (SELECT count(*) FROM ml_stage_policies),
    (SELECT at_least FROM ml_stage_policies WHERE id = 1)")" '0|0|0|9|0.7'
is '--data-only: no error' "$(at b pg_restore --data-only -d twice "$NODES/shop.dump" 2>&1)" ''
came_back '--schema-only, then --data-only' twice

# --- into another schema ------------------------------------------------------------------------------------------------

# pg_dump names schemas and offers no other: its text is edited. Privileges and the customers' own objects follow.
sql b postgres "CREATE DATABASE moved; ALTER DATABASE moved SET search_path = public, models;"
sql b moved "CREATE SCHEMA models; GRANT USAGE ON SCHEMA models TO scorer, deployer;"
is 'another schema: no error' "$(at a pg_dump shop |
    sed -E 's/\bpublic\.(e2i|ml)_/models.\1_/g; s/^(CREATE EXTENSION IF NOT EXISTS e2i_serve WITH SCHEMA) public/\1 models/' |
    at b psql -Xq -v ON_ERROR_STOP=1 -d moved 2>&1 >/dev/null)" ''
is 'another schema: nothing in public' "$(sql b moved "SELECT count(*) FROM pg_class WHERE relname ~ '^ml_' AND relnamespace = 'public'::regnamespace")" 0
came_back 'another schema' moved
goes_on 'another schema' moved

# From there it is dumped and restored as from public.
at b pg_dump -Fc -f "$NODES/moved.dump" moved
sql b postgres "CREATE DATABASE again; ALTER DATABASE again SET search_path = public, models;"
state=$(sql b moved "$STATE") scores=$(sql b moved "$SCORES")
is 'from another schema: no error' "$(at b pg_restore -d again "$NODES/moved.dump" 2>&1)" ''
is 'from another schema: every row and number' "$(sql b again "$STATE" | md5sum)" "$(md5sum <<<"$state")"
is 'from another schema: 2,000 rows score bit for bit' "$(sql b again "$SCORES")" "$scores"

# --- as another owner ---------------------------------------------------------------------------------------------------

state=$(sql a shop "$STATE") scores=$(sql a shop "$SCORES")
sql b postgres "CREATE ROLE other SUPERUSER LOGIN; CREATE DATABASE owned OWNER other;"
is 'another superuser: no error' "$(at b pg_restore -U other --no-owner -d owned "$NODES/shop.dump" 2>&1)" ''
is 'another superuser: owns the tables' "$(sql b owned "SELECT DISTINCT tableowner FROM pg_tables WHERE tablename ~ '^ml_'")" other
came_back 'another superuser' owned
goes_on 'another superuser' owned

# Only a superuser creates the extension; who may write to its tables can restore the rest.
sql b postgres "CREATE ROLE tenant LOGIN; CREATE DATABASE rented OWNER tenant;"
sql b rented "SET client_min_messages = warning; CREATE EXTENSION e2i_serve;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO tenant; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO tenant;"
is 'owner of the database only: no error' \
    "$(at b pg_restore -U tenant --no-owner --no-privileges --no-comments -d rented "$NODES/shop.dump" 2>&1)" ''
came_back 'owner of the database only' rented

# --- tables whose definition scores -------------------------------------------------------------------------------------

# Checks, domains, generated columns and partition keys score each row that is restored, so the models must be there before. A
# dump has the rows of tables in the order of their schemas and names. DEFINED are 100 rows in each kind of table.
DEFINED="CREATE TABLE a_check (i float4 CHECK (e2i_predict('sum', ARRAY[i]) < 1000));
    CREATE DOMAIN small AS float4 CHECK (e2i_predict('sum', ARRAY[VALUE]) < 1000); CREATE TABLE a_domain (i small);
    CREATE TABLE a_generated (i float4, score float8 GENERATED ALWAYS AS (e2i_predict_pinned('sum:1', ARRAY[i])) STORED);
    CREATE TABLE a_partitioned (i float4) PARTITION BY RANGE (e2i_predict_pinned('sum:1', ARRAY[i]));
    CREATE TABLE a_low PARTITION OF a_partitioned FOR VALUES FROM (MINVALUE) TO (50);
    CREATE TABLE a_high PARTITION OF a_partitioned FOR VALUES FROM (50) TO (MAXVALUE);
    INSERT INTO a_check SELECT generate_series(1, 100); INSERT INTO a_domain SELECT generate_series(1, 100);
    INSERT INTO a_generated SELECT generate_series(1, 100); INSERT INTO a_partitioned SELECT generate_series(1, 100);
    CREATE INDEX ON a_check (e2i_predict_pinned('sum:1', ARRAY[i]));"
ROWS="SELECT (SELECT sum(i) FROM a_check), (SELECT sum(i) FROM a_domain), (SELECT sum(score) FROM a_generated), (SELECT sum(i) FROM a_low), (SELECT sum(i) FROM a_high);"
ALL='5050|5050|5150|1176|3874'

# In a schema of its own, whose name comes before those of the tables that score: nothing to be done.
sql a postgres "CREATE DATABASE apart; ALTER DATABASE apart SET search_path = public, models;"
sql a apart "SET client_min_messages = warning; CREATE SCHEMA models; CREATE EXTENSION e2i_serve SCHEMA models; $PLUS
    SELECT FROM e2i_register_model('sum', plus(1)); $DEFINED"
is 'tables that score' "$(sql a apart "$ROWS")" "$ALL"
sql b postgres "CREATE DATABASE apart_plain; CREATE DATABASE apart_custom; CREATE DATABASE apart_four;"
is 'tables that score, pg_dump | psql: no error' "$(at a pg_dump apart | at b psql -Xq -v ON_ERROR_STOP=1 -d apart_plain 2>&1 >/dev/null)" ''
is 'tables that score, pg_dump | psql: every row' "$(sql b apart_plain "$ROWS")" "$ALL"
at a pg_dump -Fc -f "$NODES/apart.dump" apart
is 'tables that score, pg_restore: no error' "$(at b pg_restore -d apart_custom "$NODES/apart.dump" 2>&1)" ''
is 'tables that score, pg_restore: every row' "$(sql b apart_custom "$ROWS")" "$ALL"
# Four jobs load the largest tables first: the models get a step of their own.
restore() { at b pg_restore -d apart_four "$@" "$NODES/apart.dump" 2>&1; }
is 'tables that score, four jobs: no error' \
    "$(restore --section=pre-data; restore --section=data -n models; restore --section=data -N models -j4; restore --section=post-data -j4)" ''
is 'tables that score, four jobs: every row' "$(sql b apart_four "$ROWS")" "$ALL"

# Beside the tables that score, and after them by name: their rows are refused, loudly, and the rest is there. The models first,
# by a list, and nothing is lost. An existing extension can also be moved: ALTER EXTENSION e2i_serve SET SCHEMA models.
sql a postgres "CREATE DATABASE beside;"
sql a beside "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1)); $DEFINED"
sql b postgres "CREATE DATABASE beside_plain; CREATE DATABASE beside_list; CREATE DATABASE beside_moved;"
errors=$(at a pg_dump beside | at b psql -Xq -d beside_plain 2>&1 >/dev/null | grep -E 'ERROR|HINT')
is 'beside, pg_dump | psql: each of the tables says so' "$(grep -c ERROR <<<"$errors")" 5
like 'beside, pg_dump | psql: with what to do' "$errors" '*model "sum" does not exist*in a restore, load the tables of the extension before those that score*'
is 'beside, pg_dump | psql: the models are there' "$(sql b beside_plain "SELECT e2i_predict('sum', ARRAY[10]), (SELECT count(*) FROM a_check)")" '11|0'
at a pg_dump -Fc -f "$NODES/beside.dump" beside
beside() { at b pg_restore -d beside_list "$@" "$NODES/beside.dump" 2>&1; }
at b pg_restore -l "$NODES/beside.dump" >"$fifos/list"
grep -E ' (TABLE DATA|SEQUENCE SET) [^ ]+ ml_' "$fifos/list" | in_world tee "$NODES/models.list" >/dev/null
grep -vE ' (TABLE DATA|SEQUENCE SET) [^ ]+ ml_' "$fifos/list" | in_world tee "$NODES/rest.list" >/dev/null
is 'beside, the models first: no error' "$(beside --section=pre-data; beside -L "$NODES/models.list"
    beside --section=data -j4 -L "$NODES/rest.list"; beside --section=post-data -j4)" ''
is 'beside, the models first: every row' "$(sql b beside_list "$ROWS")" "$ALL"
sql a beside "CREATE SCHEMA models; ALTER EXTENSION e2i_serve SET SCHEMA models;"
is 'beside, moved away: no error' "$(at a pg_dump beside | at b psql -Xq -v ON_ERROR_STOP=1 -d beside_moved 2>&1 >/dev/null)" ''
is 'beside, moved away: every row' "$(sql b beside_moved "$ROWS")" "$ALL"

# A check that is NOT VALID is made after all rows, wherever the extension is, and holds for every row that is written.
sql a postgres "CREATE DATABASE unchecked;"
sql a unchecked "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));
    CREATE TABLE a_check (i float4); INSERT INTO a_check SELECT generate_series(1, 100);
    ALTER TABLE a_check ADD CONSTRAINT small CHECK (e2i_predict('sum', ARRAY[i]) < 1000) NOT VALID;"
sql b postgres "CREATE DATABASE unchecked;"
is 'NOT VALID: no error' "$(at a pg_dump unchecked | at b psql -Xq -v ON_ERROR_STOP=1 -d unchecked 2>&1 >/dev/null)" ''
is 'NOT VALID: every row, and the check' "$(sql b unchecked 'SELECT sum(i) FROM a_check'; failure b unchecked 'INSERT INTO a_check VALUES (1000)')" \
    $'5050\n23514: new row for relation "a_check" violates check constraint "small"'

# --- large models -------------------------------------------------------------------------------------------------------

# A model of so many bytes: y = x + 7 with a long doc_string (field 6, its length as a varint). It is the model of an index, too.
LARGE="CREATE FUNCTION large(size int) RETURNS bytea LANGUAGE sql AS \$\$
    SELECT plus(7) || '\x32'::bytea || (SELECT string_agg(set_byte('\x00', 0, (size >> 7 * i) & 127 | CASE WHEN i < 4 THEN 128 ELSE 0 END), '' ORDER BY i)
        FROM generate_series(0, 4) i) || convert_to(repeat('model of a bank ', size / 16), 'UTF8') \$\$;"

# large BYTES: dumped as an archive and restored by four, with the least memory a server needs for it
large() {
    local name=large_$1
    sql a postgres "CREATE DATABASE $name"
    sql b postgres "CREATE DATABASE $name"
    # ONNX Runtime copies a doc_string three times.
    sql a "$name" "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS $LARGE LOAD 'e2i_serve'; SET e2i_serve.validation_memory = '8GB';
        SELECT FROM e2i_register_model('large', large($1));
        CREATE TABLE numbers (i float4); INSERT INTO numbers SELECT generate_series(1, 100); CREATE INDEX ON numbers (e2i_predict_pinned('large:1', ARRAY[i]));"
    is "$1 bytes: in chunks" "$(sql a "$name" "SELECT count(*) = ceil(sum(length(bytes)) / 67108864.0), max(length(bytes)), sum(length(bytes)) > $1 FROM ml_model_artifacts JOIN ml_model_registry ON sha256 = artifact_sha256")" 't|67108864|t'
    at a pg_dump -Fc -Z1 -f "$NODES/$name.dump" "$name"
    is "$1 bytes: no error" "$(at b pg_restore -j4 --section=pre-data --section=data -d "$name" "$NODES/$name.dump" 2>&1)" ''
    is "$1 bytes: an index on its scores, after the rows" "$(at b pg_restore --section=post-data -d "$name" "$NODES/$name.dump" 2>&1)" ''
    is "$1 bytes: the same" "$(sql b "$name" "SELECT sha256, chunk, md5(bytes) FROM ml_model_artifacts ORDER BY chunk")" \
        "$(sql a "$name" "SELECT sha256, chunk, md5(bytes) FROM ml_model_artifacts ORDER BY chunk")"
    is "$1 bytes: scores" "$(sql b "$name" "SELECT e2i_predict('large', ARRAY[10]); SET enable_seqscan = off; SELECT i FROM numbers WHERE e2i_predict_pinned('large:1', ARRAY[i]) = 20")" $'17\n13'
    outside rm -f "$HOST_NODES/$name.dump"
    sql a postgres "DROP DATABASE $name"
    sql b postgres "DROP DATABASE $name"
}
large 73400320
if [[ ${E2I_LARGE:-} ]]; then large 734003200; fi
