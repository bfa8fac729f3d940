#!/usr/bin/env bash
# What Rust knows of an error's place stays here: neither a client nor the log sees a backtrace, whatever RUST_BACKTRACE says.
source "$(dirname "$0")/common.sh"

for value in 1 full; do
    for preload in "" e2i_serve; do
        SERVER_ENVIRONMENT=("RUST_BACKTRACE=$value" "RUST_LIB_BACKTRACE=$value")
        node "a$value$preload" "shared_preload_libraries = '$preload'"
        a="a$value$preload"
        sql "$a" postgres "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; $PLUS SELECT FROM e2i_register_model('sum', plus(1));"
        # Errors of the extension, of the server inside of it, of a trigger and of a try-out.
        said=$(at "$a" psql -XAtq -v VERBOSITY=verbose -d postgres 2>&1 <<'SQL'
SELECT e2i_predict('sum', '{oops');
SELECT e2i_predict('unknown', '[1]');
SELECT e2i_predict('sum', repeat('[', 100000));
SELECT e2i_serve('sum', '{"features": ["x"]}');
SELECT e2i_register_model('bad', '\x00');
SELECT e2i_register_model('sum', plus(1), version => '1');
SET lock_timeout = 1;
UPDATE ml_model_registry SET model_name = 'other';
DELETE FROM ml_model_registry;
CREATE ROLE nobody_; SET ROLE nobody_;
SELECT e2i_predict('sum', ARRAY[1]);
SQL
)
        is "RUST_BACKTRACE=$value, preload '$preload': errors" "$(grep -c '^ERROR:' <<<"$said")" 9
        for place in 'pgrx' '\.cargo' '/rustc/' 'stack backtrace' '^ *[0-9]+: ' ' at /'; do
            is "no $place for the client" "$(grep -cE "$place" <<<"$said" || true)" 0
            is "no $place in the log" "$(in_world cat "$NODES/$a/server.log" | grep -cE "$place" || true)" 0
        done
        node_stop "$a"
    done
done
