#!/usr/bin/env bash
# ONNX Runtime dies in the try-out of a model, for real: registering says of what, and nobody else notices.
source "$(dirname "$0")/common.sh"

node a
sql a postgres "CREATE EXTENSION e2i_serve;"
runtime=$(sql a postgres "SELECT setting || '/e2i_serve/libonnxruntime.so' FROM pg_config WHERE name = 'PKGLIBDIR'")
started=$(sql a postgres "SELECT pg_postmaster_start_time()")

# A library that does DEED where the runtime would do FUNCTION: library NAME FUNCTION DEED
library() {
    cc -shared -fPIC -o "$fifos/$1.so" "-DREAL=\"$runtime\"" "-DFUNCTION=$2" "-DDEED=$3" "$(dirname "${BASH_SOURCE[0]}")/crashing_runtime.c" -ldl
    in_world tee "$NODES/a/$1.so" <"$fifos/$1.so" >/dev/null
}

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

is 'with the right library the same session registers and scores' \
    "$(ask registrar "SELECT e2i_register_model('good', plus(3)); SELECT e2i_predict('good', ARRAY[10]);")" $'good:1\n13'
is 'the server never restarted' "$(sql a postgres "SELECT pg_postmaster_start_time()")" "$started"
is 'and its log knows of no process that died' "$(in_world cat "$NODES/a/server.log" | grep -c 'was terminated by signal' || true)" 0
