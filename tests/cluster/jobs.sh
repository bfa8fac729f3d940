#!/usr/bin/env bash
# Scoring jobs that are killed at random: their call cancelled or its connection terminated or lost, its process or a worker of it killed,
# the server stopped at once or killed. The same call then goes on, and no row is lost or scored twice. E2I_KILLS says how often; E2I_KILLS_SEED which.
# And what several sessions and the clock do with jobs.
source "$(dirname "$0")/common.sh"

KILLS=${E2I_KILLS:-12} SEED=${E2I_KILLS_SEED:-$(date +%s)}
RANDOM=$((SEED % 32768))

node a "shared_preload_libraries = 'e2i_serve'" "e2i_serve.metrics_interval = '1s'" "max_worker_processes = 16"
sql a postgres "ALTER SYSTEM SET restart_after_crash = on; CREATE DATABASE shop;"
node_stop a
node_start a
node_restarts() { in_world pg_ctl -D "$NODES/$1/data" -l "$NODES/$1/server.log" -w -s start >/dev/null 2>&1; }
back() { wait_for a shop "SELECT pg_postmaster_start_time() IS NOT NULL AND NOT pg_is_in_recovery() AND (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'checkpointer') = 1"; }

# Each write of a row's score counts itself in that row, so a row that is written twice shows. The model is x + 1.
ROWS=20000
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('plus', plus(1));
    CREATE TABLE t (id int PRIMARY KEY, x float4 NOT NULL, score float8, writes int NOT NULL DEFAULT 0) WITH (fillfactor = 50);
    INSERT INTO t SELECT i, i % 1000 FROM generate_series(1, $ROWS) i;
    CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.writes := old.writes + 1; RETURN new; END';
    CREATE TRIGGER counts BEFORE UPDATE OF score ON t FOR EACH ROW WHEN (new.score IS NOT NULL) EXECUTE FUNCTION counts();"
CALL="CALL e2i_score_table('plus', 't', 'score', batch_rows => 200"

# --- killed at random -------------------------------------------------------------------------------------------------------------

kinds=(cancel terminate disconnect kill worker stop server) killed=0 jobs=0 wrong=''
while ((killed < KILLS)); do
    workers=$((RANDOM % 3 == 0 ? 2 : 1)) into=$((RANDOM % 3 == 0))
    if ((into)); then target="into_table => 'filled'"; else target="'score'"; fi
    sql a shop "SET client_min_messages = error; UPDATE t SET writes = 0, score = NULL; DROP TABLE IF EXISTS filled; VACUUM t;" >/dev/null
    first=$(sql a shop "SELECT coalesce(max(id), 0) + 1 FROM ml_scoring_jobs")
    jobs=$((jobs + 1)) tries=0
    while :; do
        session job a shop
        tell job "SET client_min_messages = error; SET client_connection_check_interval = '10ms';
            CALL e2i_score_table('plus', 't', $target, batch_rows => 200, workers => $workers);"
        tries=$((tries + 1))
        # The last tries are let through, so that every job ends.
        if ((killed >= KILLS || tries > 6)); then
            answer job >/dev/null
        else
            sleep "0.$(printf '%03d' $((RANDOM % 400 + 30)))"
            pid=$(sql a shop "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL e2i_score_table%' AND state = 'active' LIMIT 1")
            kind=${kinds[RANDOM % 7]}
            if [[ $kind == worker ]]; then
                pid=$(sql a shop "SELECT pid FROM pg_stat_activity WHERE backend_type = 'e2i_serve scoring job' ORDER BY random() LIMIT 1")
            fi
            if [[ $pid || $kind == stop || $kind == server ]]; then
                killed=$((killed + 1))
                case $kind in
                cancel) sql a shop "SELECT pg_cancel_backend($pid)" >/dev/null ;;
                terminate) sql a shop "SELECT pg_terminate_backend($pid)" >/dev/null ;;
                disconnect) kill -9 "${PSQL[job]}" 2>/dev/null || true ;;
                kill | worker) in_world bash -c "kill -9 $pid" 2>/dev/null || true; sleep 0.2; back ;;
                stop) node_stop a immediate; node_start a ;;
                server)
                    in_world bash -c "kill -9 $(in_world head -n 1 "$NODES/a/data/postmaster.pid")"
                    # Its processes see that it is gone; until then the server does not start.
                    for ((i = 0; i < 100; i++)); do if node_restarts a; then break; fi; sleep 0.1; done
                    back
                    ;;
                esac
            fi
        fi
        kill "${PSQL[job]}" 2>/dev/null || true
        wait "${PSQL[job]}" 2>/dev/null || true
        rm -f "$fifos/job.to" "$fifos/job.from"
        # A call whose client is gone goes on; what is left of it ends by itself.
        wait_for a shop "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%CALL e2i_score_table%' AND pid <> pg_backend_pid())"
        if [[ $(sql a shop "SELECT status FROM ml_scoring_jobs WHERE id >= $first ORDER BY id DESC LIMIT 1") == finished ]]; then break; fi
        if ((tries > 60)); then break; fi
    done
    # What is written twice into a table of one job's making breaks its primary key; what is lost is missing.
    if ((into)); then
        sql a shop "UPDATE t SET score = s.score FROM filled s WHERE s.id = t.id;
            UPDATE t SET writes = -1 WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = 'filled'::regclass AND i.indisprimary)" >/dev/null
    fi
    got=$(sql a shop "SELECT count(*) FILTER (WHERE writes <> 1), count(*) FILTER (WHERE score IS DISTINCT FROM x + 1),
        (SELECT string_agg(status || ' ' || done || ' ' || written, ',') FROM ml_scoring_jobs WHERE id >= $first) FROM t")
    if [[ $got != "0|0|finished $ROWS $ROWS" ]]; then wrong+="job $jobs, workers $workers, $target: $got"$'\n'; fi
done
is "killed $killed times in $jobs jobs, seed $SEED: every row scored once" "$wrong" ''

# --- two jobs, one column ---------------------------------------------------------------------------------------------------------

session one a shop
session two a shop
ask one "SET client_min_messages = error;" >/dev/null
tell one "$CALL, pause => '20 ms');"
wait_for a shop "SELECT EXISTS (SELECT FROM ml_scoring_jobs WHERE status = 'running' AND done > 0)"
id=$(sql a shop "SELECT max(id) FROM ml_scoring_jobs")
is 'another job of the column' "$(ask two "$CALL);" | sed -n 1,2p)" "ERROR:  job $id of postgres is writing column \"score\" of public.t
HINT:  Wait for it, SELECT * FROM e2i_scoring_progress; or SELECT e2i_cancel_scoring_job($id);"
like 'what it is at' "$(sql a shop "SELECT query FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'CALL e2i_score_table: job%'")" "CALL e2i_score_table: job $id, plus:1 into public.t, *% (* of $ROWS rows)"
is 'cancelled' "$(ask two "SELECT e2i_cancel_scoring_job($id);")" cancelling
is 'it ends after its batch' "$(answer one | sed -n 1p)" "ERROR:  job $id was cancelled"
is 'and says so' "$(sql a shop "SELECT status, done BETWEEN 1 AND $ROWS - 1 FROM ml_scoring_jobs WHERE id = $id")" 'cancelled|t'
is 'the same call goes on' "$(ask one "$CALL);"; sql a shop "SELECT id = $id, status, done FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1")" "t|finished|$ROWS"

# --- others write meanwhile -------------------------------------------------------------------------------------------------------

ask two "BEGIN; UPDATE t SET x = 500 WHERE id IN (3, 300); INSERT INTO t VALUES ($ROWS + 1, 1); DELETE FROM t WHERE id = 700;" >/dev/null
sql a shop "SET client_min_messages = error; UPDATE t SET score = NULL WHERE id NOT IN (3, 300, 700); $CALL, locked => 'skip');"
is 'locked rows are left out' "$(sql a shop "SELECT done, skipped FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1; SELECT count(*) FROM t WHERE score IS DISTINCT FROM x + 1 AND id NOT IN (3, 300, 700)")" "$((ROWS - 3))|3"$'\n0'
tell one "SET lock_timeout = '100ms'; $CALL);"
wait_for a shop "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"
sleep 0.3
ask two "COMMIT;" >/dev/null
answer one >/dev/null
is 'or waited for, again and again: what was committed is scored' "$(sql a shop "SELECT retried > 0, done, (SELECT string_agg(score::text, ' ' ORDER BY id) FROM t WHERE id IN (3, 300)) FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1")" "t|$((ROWS - 1))|501 501"
is 'a row beyond the last key of the beginning' "$(sql a shop "SELECT score IS NULL FROM t WHERE id = $ROWS + 1")" t
is 'serializable' "$(sql a shop "SET default_transaction_isolation = serializable; SET client_min_messages = error; $CALL); SELECT done FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1")" "$ROWS"

# --- versions --------------------------------------------------------------------------------------------------------------------

sql a shop "ALTER TABLE t ADD COLUMN version text"
WHICH="SELECT version, count(*) > 0, bool_and(score = x + substring(version FROM 6)::int) FROM t GROUP BY 1 ORDER BY 1"
PAUSED="CALL e2i_score_table('plus', 't', batch_rows => 200, targets => '{\"score\": \"score\", \"version\": \"version\"}', pause => '30 ms'"
tell one "RESET lock_timeout; $PAUSED);"
wait_for a shop "SELECT EXISTS (SELECT FROM ml_scoring_jobs WHERE status = 'running' AND done > 0)"
sql a shop "SELECT FROM e2i_register_model('plus', plus(2), deploy => true)"
answer one >/dev/null
is 'a job keeps the version that it began with' "$(sql a shop "$WHICH")" 'plus:1|t|t'
tell one "$PAUSED, follow => true);"
wait_for a shop "SELECT EXISTS (SELECT FROM ml_scoring_jobs WHERE status = 'running' AND done > 0)"
sql a shop "SELECT FROM e2i_register_model('plus', plus(3), deploy => true)"
answer one >/dev/null
is 'or follows what is deployed' "$(sql a shop "$WHICH")" $'plus:2|t|t\nplus:3|t|t'

# --- the clock -------------------------------------------------------------------------------------------------------------------

sql a shop "CREATE ROLE clerk LOGIN; SELECT e2i_grant_usage('clerk', 'deployer'); GRANT SELECT, UPDATE ON t TO clerk; UPDATE t SET score = NULL;
    SET ROLE clerk; SELECT e2i_schedule_scoring('often', 'plus', 't', 'score', every => '2 seconds');" >/dev/null
wait_for a shop "SELECT count(*) >= 2 FROM ml_scoring_jobs WHERE schedule = 'often' AND status = 'finished'"
is 'the clock begins jobs' "$(sql a shop "SELECT DISTINCT started_by, done FROM ml_scoring_jobs WHERE schedule = 'often' AND status = 'finished'; SELECT count(*) FROM t WHERE score IS DISTINCT FROM x + 3")" "clerk|$((ROWS))"$'\n0'
sql a shop "REVOKE UPDATE ON t FROM clerk"
wait_for a shop "SELECT status = 'stopped' FROM ml_scoring_schedules"
is 'and stops where the right is gone' "$(sql a shop "SELECT status, error FROM e2i_scoring_schedules")" 'stopped|permission denied for table t'
is 'removed' "$(sql a shop "SET ROLE clerk; SELECT e2i_unschedule_scoring('often'); SELECT count(*) FROM e2i_scoring_schedules")" $'\n0'

# A deployment has stale scores made anew once it is committed: those of a trigger and those of a job, with the rights of who deployed.
sql a shop "CREATE TABLE u (id int PRIMARY KEY, x float4, score float8, version text); INSERT INTO u SELECT i, i FROM generate_series(1, 100) i;
    GRANT SELECT, UPDATE, TRIGGER ON u TO clerk; GRANT SELECT, UPDATE (score, version) ON t TO clerk; GRANT CREATE ON SCHEMA public TO clerk;
    SET client_min_messages = error;
    CALL e2i_score_table('plus', 'u', targets => '{\"score\": \"score\", \"version\": \"version\"}');
    CREATE TABLE w (LIKE u INCLUDING ALL); SELECT FROM e2i_score_on_write('w', 'plus', targets => '{\"score\": \"score\", \"version\": \"version\"}');
    INSERT INTO w (id, x) SELECT i, i FROM generate_series(1, 100) i; GRANT SELECT, UPDATE ON w TO clerk;" >/dev/null
ask one "SET client_min_messages = notice; SET ROLE clerk; BEGIN; SELECT FROM e2i_deploy('plus:1', rescore => true);" >/dev/null
sleep 2.5
is 'before it is committed nothing is made anew' "$(sql a shop "SELECT DISTINCT version FROM u UNION ALL SELECT DISTINCT version FROM w")" $'plus:3\nplus:3'
ask one "COMMIT; RESET ROLE;" >/dev/null
wait_for a shop "SELECT NOT EXISTS (SELECT FROM ml_scoring_schedules)"
is 'a deployment has stale scores made anew' "$(sql a shop "SELECT 'u', version, count(*), bool_and(score = x + 1) FROM u GROUP BY 2 UNION ALL SELECT 'w', version, count(*), bool_and(score = x + 1) FROM w GROUP BY 2 ORDER BY 1")" $'u|plus:1|100|t\nw|plus:1|100|t'
is 'as the role that deployed' "$(sql a shop "SELECT DISTINCT started_by FROM ml_scoring_jobs WHERE schedule LIKE 'rescore public.%'")" clerk
sql a shop "REVOKE UPDATE ON u FROM clerk; SET ROLE clerk; SET client_min_messages = error; SELECT FROM e2i_deploy('plus:2', rescore => true);" >/dev/null
wait_for a shop "SELECT count(*) = 1 FROM ml_scoring_schedules WHERE status = 'stopped' AND name LIKE 'rescore public.u.%' AND next_run = 'infinity'"
is 'what it may not write is said' "$(sql a shop "SELECT error FROM e2i_scoring_schedules WHERE name LIKE 'rescore public.u.%'")" 'permission denied for table u'

# --- what is kept -----------------------------------------------------------------------------------------------------------------

sql a shop "UPDATE ml_scoring_jobs SET ended_at = now() - interval '40 days' WHERE id = $id; INSERT INTO ml_scoring_job_errors (job, key, error_code, message) VALUES ($id, '{1}', '22P02', 'old');
    ALTER SYSTEM SET e2i_serve.scoring_job_retention = 30; SELECT pg_reload_conf();" >/dev/null
wait_for a shop "SELECT current_setting('e2i_serve.scoring_job_retention') = '30'"
sql a shop "SET client_min_messages = error; CALL e2i_score_table('plus', 'w', 'score')"
is 'old jobs are forgotten with their errors' "$(sql a shop "SELECT count(*) FILTER (WHERE id = $id), count(*) > 1 FROM ml_scoring_jobs; SELECT count(*) FROM ml_scoring_job_errors WHERE job = $id")" $'0|t\n0'

# --- a standby that is behind ---------------------------------------------------------------------------------------------------------

in_world mkdir -p "$NODES/behind"
at a pg_basebackup -D "$NODES/behind/data" -R -X stream -c fast --no-sync
node_settings behind "hot_standby = on"
node_start behind
wait_for a shop "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'"
sql behind postgres "SELECT pg_wal_replay_pause()" >/dev/null
wait_for a shop "SELECT NOT EXISTS (SELECT FROM ml_scoring_schedules WHERE status IN ('waiting', 'running'))"
# With pauses, or a fast machine is done before the standby is far enough behind.
tell one "SET client_min_messages = error; $CALL, max_lag => '300 ms', pause => '50 ms', restart => true);"
wait_for a shop "SELECT max(extract(epoch FROM replay_lag)) > 1 FROM pg_stat_replication"
wait_for a shop "SELECT bool_or(status = 'running' AND done > 0) FROM ml_scoring_jobs"
sleep 1
first=$(sql a shop "SELECT done FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1")
sleep 1.5
is 'a job rests while a standby is behind' "$(sql a shop "SELECT status, done = $first, done < $ROWS FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1")" 'running|t|t'
sql behind postgres "SELECT pg_wal_replay_resume()" >/dev/null
answer one >/dev/null
is 'and goes on when it has followed' "$(sql a shop "SELECT status, done >= $ROWS FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1")" 'finished|t'
