#!/usr/bin/env bash
# ONNX Runtime dies in the try-out of a model, for real: registering says of what, and nobody else notices.
source "$(dirname "$0")/common.sh"

node a
sql a postgres "CREATE EXTENSION e2i_serve;"
started=$(sql a postgres "SELECT pg_postmaster_start_time()")

library() { runtime_that a "$@"; }

# One session that has not loaded the runtime, and one that scores meanwhile.
session registrar a postgres
session scorer a postgres
ask registrar "SET client_min_messages = warning; $PLUS CREATE TEMP TABLE me AS SELECT pg_backend_pid() AS pid;" >/dev/null
ask registrar "SELECT FROM e2i_register_model('sum', plus(1));" >/dev/null
is 'another session scores' "$(ask scorer "SELECT e2i_predict('sum', ARRAY[10]);")" 11

# Registers with that library: dies WHAT NAME PATTERN
dies() {
    like "$1" "$(ask registrar "SET e2i_serve.onnxruntime_library = '$NODES/a/$2.so'; SELECT e2i_register_model('bad', plus(2));")" "$3"
    is "$1: the session goes on, without a child" "$(ask registrar "SELECT pid = pg_backend_pid(), pg_read_file(format('/proc/self/task/%s/children', pid)) = '' FROM me;
        SELECT count(*) FROM ml_model_registry WHERE model_name = 'bad'; SELECT count(*) FROM ml_model_artifacts; SELECT count(*) FROM ml_model_events WHERE model_name = 'bad';")" $'t|t\n0\n2\n0'
    is "$1: so does another" "$(ask scorer "SELECT e2i_predict('sum', ARRAY[10]);")" 11
}
crashed() { printf 'ERROR:  the model "bad" crashed the process in which it was tried out: %s*It is not registered. No session was affected.' "$1"; }

library segv_load 8 '*(volatile int *)0 = 1'
dies 'a bad pointer while loading' segv_load "$(crashed SIGSEGV)"
library segv_run 9 '*(volatile int *)0 = 1'
dies 'a bad pointer while scoring' segv_run "$(crashed SIGSEGV)"
library abort 9 'abort()'
dies 'an assertion' abort "$(crashed SIGABRT)"
library divide 9 'raise(SIGFPE)'
dies 'a division by zero' divide "$(crashed SIGFPE)"
library illegal 9 '__builtin_trap()'
dies 'an instruction that this processor has not' illegal "$(crashed 'SIG@(ILL|TRAP)')"
library bus 9 'raise(SIGBUS)'
dies 'a page that cannot be read' bus "$(crashed SIGBUS)"
# Endless recursion ends at the limit of the stack.
library recursion 9 '{ volatile char frame[4096]; frame[0] = 1; dreadful(); frame[1] = 1; }'
dies 'endless recursion' recursion "$(crashed SIGSEGV)"
library killed 9 'raise(SIGKILL)'
dies 'killed for want of memory' killed 'ERROR:  the model "bad" needed more memory than e2i_serve.validation_memory, 2GB*'
library bad_alloc 9 '{ fputs("what():  std::bad_alloc\n", stderr); abort(); }'
dies 'no memory' bad_alloc 'ERROR:  the model "bad" needed more memory than e2i_serve.validation_memory, 2GB*'
library leaves 9 '_exit(0)'
dies 'exits' leaves 'ERROR:  the try-out returned nothing that can be read*'
library fails 9 '_exit(3)'
dies 'exits with an error' fails 'ERROR:  the process in which the model was tried out ended early'
library hangs 9 'for (;;) pause()'
ask registrar "SET e2i_serve.validation_timeout = '300ms';" >/dev/null
dies 'hangs' hangs 'ERROR:  the model "bad" did not finish its try-out within e2i_serve.validation_timeout, 300ms*'
ask registrar "RESET e2i_serve.validation_timeout; RESET e2i_serve.onnxruntime_library;" >/dev/null

# The server's shared memory is out of the try-out's reach: buffers, whatever it does to all that it finds mapped shared.
sql a postgres "CREATE TABLE accounts (id int, note text); INSERT INTO accounts SELECT i, 'balance=100' FROM generate_series(1, 3) i;"
rows() { sql a postgres "SELECT string_agg(note, ' ' ORDER BY id) FROM accounts;"; }
is 'rows that are in shared buffers' "$(ask scorer "SELECT count(*) FROM accounts;")" 3
library scribbles 9 '{ on_shared_memory(overwrite); raise(SIGSEGV); }'
dies 'writes into shared buffers' scribbles "$(crashed SIGSEGV)"
is 'the rows stay' "$(rows)" 'balance=100 balance=100 balance=100'
library zeroes 9 '{ on_shared_memory(zero); raise(SIGSEGV); }'
dies 'zeroes shared memory' zeroes "$(crashed SIGSEGV)"
is 'the rows stay again' "$(rows)" 'balance=100 balance=100 balance=100'
sql a postgres "UPDATE accounts SET id = id; CHECKPOINT;"
is 'and after a checkpoint' "$(rows)" 'balance=100 balance=100 balance=100'
library looks 9 "{ look(\"$NODES/a/notes\"); raise(SIGSEGV); }"
dies 'looks around' looks "$(crashed SIGSEGV)"
is 'nothing that is mapped is shared and can be written' "$(in_world cat "$NODES/a/notes" | grep -cE ' [r-]w[x-]s | ---s ' || true)" 0
is 'nothing is open but two pipes and /dev/null' "$(in_world cat "$NODES/a/notes" | sed -nE '/^open: /{s/^open: //;s/:.*//;p}' | paste -sd,)" '0 /dev/null,1 /dev/null,2 pipe,3 pipe'

# A model that lies in a page of a table, as a short value does, is read before the page is let go of.
ask registrar "SET client_min_messages = warning; RESET e2i_serve.onnxruntime_library;
    CREATE TABLE models (name text, bytes bytea); ALTER TABLE models ALTER bytes SET STORAGE PLAIN, ALTER name SET STORAGE PLAIN;
    INSERT INTO models SELECT repeat('n', 150), pg_read_binary_file('$MODELS/hcp_churn.onnx');" >/dev/null
like 'a short value in a page' "$(ask registrar "SELECT e2i_register_model(name, bytes) FROM models;")" 'nnn*:1'

is 'with the right library the same session registers and scores' \
    "$(ask registrar "SELECT e2i_register_model('good', plus(3)); SELECT e2i_predict('good', ARRAY[10]);")" $'good:1\n13'
is 'the server never restarted' "$(sql a postgres "SELECT pg_postmaster_start_time()")" "$started"
is 'and its log knows of no process that died' "$(in_world cat "$NODES/a/server.log" | grep -c 'was terminated by signal' || true)" 0
