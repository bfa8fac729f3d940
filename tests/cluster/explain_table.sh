#!/usr/bin/env bash
# Jobs that write why rows have their scores, ended at whatever moment: cancelled, their process killed, the server stopped at once. The same call
# goes on, and every reason of every row is there once. E2I_KILLS says how often, E2I_KILLS_SEED which.
source "$(dirname "$0")/common.sh"

KILLS=${E2I_KILLS:-12} SEED=${E2I_KILLS_SEED:-$(date +%s)}
KILLS=$(((KILLS + 2) / 3)) RANDOM=$((SEED % 32768))

node a "shared_preload_libraries = 'e2i_serve'" "max_worker_processes = 16"
sql a postgres "ALTER SYSTEM SET restart_after_crash = on; CREATE DATABASE shop;"
node_stop a
node_start a
back() { wait_for a shop "SELECT pg_postmaster_start_time() IS NOT NULL AND NOT pg_is_in_recovery() AND (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'checkpointer') = 1"; }

ROWS=3000
sql a shop "SET client_min_messages = warning; CREATE EXTENSION e2i_serve;
    SELECT FROM e2i_register_model('risk', pg_read_binary_file('$MODELS/trained/xgb_binary.json'));
    CREATE TABLE patients (id int PRIMARY KEY, age float8, \"blood pressure\" float8, \"é\" float8, d float8, e float8);
    INSERT INTO patients SELECT i, sin(i), CASE WHEN i % 7 > 0 THEN cos(i) END, i % 9 - 4, i % 2, i % 5 - 2 FROM generate_series(1, $ROWS) i;
    CREATE TABLE said AS SELECT p.id, r.* FROM patients p, e2i_reasons('risk', p, 2) r;"
SAID=$(sql a shop "SELECT count(*) FROM said")

kinds=(cancel terminate kill stop) killed=0 jobs=0 wrong=''
while ((killed < KILLS)); do
    sql a shop "SET client_min_messages = error; DROP TABLE IF EXISTS reasons;" >/dev/null
    # Every second job writes over what another has said.
    if ((jobs % 2)); then sql a shop "SET client_min_messages = error; CALL e2i_explain_table('risk', 'patients', 'reasons', top => 4, batch_rows => 3000);"; fi
    workers=$((RANDOM % 2 + 1)) jobs=$((jobs + 1)) tries=0
    first=$(sql a shop "SELECT coalesce(max(id), 0) + 1 FROM ml_scoring_jobs")
    while :; do
        session job a shop
        tell job "SET client_min_messages = error; CALL e2i_explain_table('risk', 'patients', 'reasons', top => 2, batch_rows => 50, workers => $workers);"
        tries=$((tries + 1))
        # The last tries are let through, so that every job ends.
        if ((killed >= KILLS || tries > 3)); then
            answer job >/dev/null
        else
            sleep "0.$(printf '%03d' $((RANDOM % 300 + 30)))"
            pid=$(sql a shop "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL e2i_explain_table%' AND state = 'active' LIMIT 1")
            kind=${kinds[RANDOM % 4]}
            if [[ $pid || $kind == stop ]]; then
                killed=$((killed + 1))
                case $kind in
                cancel) sql a shop "SELECT pg_cancel_backend($pid)" >/dev/null ;;
                terminate) sql a shop "SELECT pg_terminate_backend($pid)" >/dev/null ;;
                kill) in_world bash -c "kill -9 $pid" 2>/dev/null || true; sleep 0.2; back ;;
                stop) node_stop a immediate; node_start a ;;
                esac
            fi
        fi
        kill "${PSQL[job]}" 2>/dev/null || true
        wait "${PSQL[job]}" 2>/dev/null || true
        rm -f "$fifos/job.to" "$fifos/job.from"
        wait_for a shop "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%CALL e2i_explain_table%' AND pid <> pg_backend_pid())"
        if [[ $(sql a shop "SELECT status FROM ml_scoring_jobs WHERE id >= $first ORDER BY id DESC LIMIT 1") == finished ]]; then break; fi
        if ((tries > 20)); then break; fi
    done
    got=$(sql a shop "SELECT count(*), (SELECT count(*) FROM (TABLE said EXCEPT TABLE reasons) d), (SELECT count(*) FROM pg_index WHERE indrelid = 'reasons'::regclass AND indisprimary),
        (SELECT string_agg(status || ' ' || done || ' ' || written, ',') FROM ml_scoring_jobs WHERE id >= $first) FROM reasons")
    if [[ $got != "$SAID|0|1|finished $ROWS $SAID" ]]; then wrong+="job $jobs, workers $workers: $got"$'\n'; fi
done
is "killed $killed times in $jobs jobs, seed $SEED: every reason of every row once" "$wrong" ''

# Cancelled with the function for it, seen with its progress, and gone on with.
session one a shop
tell one "SET client_min_messages = error; CALL e2i_explain_table('risk', 'patients', 'slowly', batch_rows => 50, pause => '20 ms');"
wait_for a shop "SELECT EXISTS (SELECT FROM ml_scoring_jobs WHERE status = 'running' AND done > 0)"
id=$(sql a shop "SELECT max(id) FROM ml_scoring_jobs")
like 'what it is at' "$(sql a shop "SELECT query FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'CALL e2i_explain_table: job%'")" "CALL e2i_explain_table: job $id, risk:1 into public.slowly, *% (* of $ROWS rows)"
like 'its progress' "$(sql a shop "SELECT job, model, target, done, status FROM e2i_scoring_progress LIMIT 1")" "$id|risk:1|slowly|*%|running"
session two a shop
is 'another job of the table' "$(ask two "CALL e2i_explain_table('risk', 'patients', 'slowly');" | sed -n 1p)" "ERROR:  job $id of postgres is writing column \"feature\" of public.slowly"
is 'cancelled' "$(ask two "SELECT e2i_cancel_scoring_job($id);")" cancelling
is 'it ends after its batch' "$(answer one | sed -n 1p)" "ERROR:  job $id was cancelled"
is 'the same call goes on' "$(ask one "CALL e2i_explain_table('risk', 'patients', 'slowly', batch_rows => 500);"; sql a shop "SELECT id = $id, status, done, written = (SELECT count(*) FROM slowly) FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1")" "t|finished|$ROWS|t"
