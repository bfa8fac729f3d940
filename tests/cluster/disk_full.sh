#!/usr/bin/env bash
# The disk is full while a scoring job writes: it stops with the server's error, its row says so, and the same call goes on when there
# is room. The disk is a small one of its own, a tablespace in memory; skipped where it cannot be mounted.
source "$(dirname "$0")/common.sh"

node a
DISK=$NODES/a/small
if [[ $WORLD ]] || ((UID)) || ! { mkdir -p "$DISK" && mount -t tmpfs -o size=24m tmpfs "$DISK" 2>/dev/null; }; then
    printf 'skipped - %s: no file system can be mounted\n' "$TOPIC"
    exit 0
fi
trap 'status=$?; node_stop a immediate || true; umount "$DISK" || umount -l "$DISK"; (exit "$status"); finish' EXIT
give_to_server "$DISK"

# Leaves so many kilobytes of it.
leave() {
    rm -f "$DISK/ballast"
    head -c $((($(df --output=avail -k "$DISK" | tail -n 1) - $1) * 1024)) /dev/zero >"$DISK/ballast"
}
free() { rm -f "$DISK/ballast"; }

# Each write of a row's score counts itself in that row. The model is x + 1.
ROWS=50000
mkdir "$DISK/space"
give_to_server "$DISK/space"
sql a postgres "CREATE DATABASE shop; CREATE TABLESPACE small LOCATION '$DISK/space';"
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('plus', plus(1));
    SET default_tablespace = small;
    CREATE TABLE t (id int PRIMARY KEY, x float4 NOT NULL, score float8, writes int NOT NULL DEFAULT 0);
    INSERT INTO t SELECT i, i % 1000 FROM generate_series(1, $ROWS) i;
    CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.writes := old.writes + 1; RETURN new; END';
    CREATE TRIGGER counts BEFORE UPDATE OF score ON t FOR EACH ROW EXECUTE FUNCTION counts();"
HOW="batch_rows => 2000"
STANDING="SELECT status, error_code, error LIKE 'could not extend file%', done BETWEEN 1 AND $ROWS - 1 FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1"
ENDED="SELECT status, error_code IS NULL, done, written, (SELECT count(*) FROM ml_scoring_jobs WHERE target_table = j.target_table) FROM ml_scoring_jobs j ORDER BY id DESC LIMIT 1"

for case in "t|'score'" "filled|into_table => 'filled'"; do
    table=${case%%|*} call="SET client_min_messages = error; SET default_tablespace = small; CALL e2i_score_table('plus', 't', ${case#*|}, $HOW);"
    leave 700
    like "full, $table: the server's error" "$(failure a shop "$call")" '53100: could not extend file *'
    is "full, $table: the job's row" "$(sql a shop "$STANDING")" 'failed|53100|t|t'
    is "full, $table: again" "$(failure a shop "$call" | cut -c1-6)" '53100:'
    free
    sql a shop "$call"
    is "room, $table: the same call goes on" "$(sql a shop "$ENDED")" "finished|t|$ROWS|$ROWS|1"
done
is 'a column: each row once' "$(sql a shop "SELECT count(*), count(*) FILTER (WHERE score IS DISTINCT FROM x + 1 OR writes <> 1) FROM t")" "$ROWS|0"
is 'a new table: each row once' "$(sql a shop "SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE s.score IS DISTINCT FROM x + 1) FROM t LEFT JOIN filled s USING (id)")" "$ROWS|$ROWS|0"
