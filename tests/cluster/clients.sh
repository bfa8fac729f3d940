#!/usr/bin/env bash
# What drivers send for a text, a dictionary and a list reaches a scoring function as the manual's table of them says: Python's always,
# JavaScript's where npm is installed, Rust's and Java's with E2I_CLIENTS=all, as make nightly has it.
source "$(dirname "$0")/common.sh"

# Kept in target/, for the versions that requirements.txt pins.
REQUIREMENTS=$ROOT/tests/clients/requirements.txt
VENV=$ROOT/target/clients-$(sha256sum "$REQUIREMENTS" | cut -c 1-12)
if [[ ! -e $VENV/complete ]]; then
    if ! { python3 -m venv "$VENV" && "$VENV/bin/pip" install -q --disable-pip-version-check --no-deps -r "$REQUIREMENTS" \
        psycopg-binary==3.3.9 typing_extensions scramp asn1crypto python-dateutil six; } >"$VENV.log" 2>&1; then
        printf 'skipped - %s: the drivers cannot be installed\n' "$TOPIC"
        exit 0
    fi
    touch "$VENV/complete"
fi

node a
sql a postgres "CREATE DATABASE shop"
sql a shop "CREATE EXTENSION e2i_serve;
    SELECT FROM e2i_register_model('risk', pg_read_binary_file(current_setting('e2i_test.models') || '/shape_regression_flat.onnx'),
        feature_names => '{a,b,c,d}');
    CREATE TABLE inputs AS SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d;"
SCORE=$(sql a shop "SELECT e2i_predict('risk', i) FROM inputs i")
# As many lines of a driver's program as there are calls, each with the score: answers COUNT DRIVERS COMMAND…
answers() {
    local before=$number driver call answer expected
    while IFS='|' read -r driver call answer; do
        case $call in
            *e2i_serve*) expected="[$SCORE,$SCORE]" ;;
            *) expected=$SCORE ;;
        esac
        is "$driver$call" "${answer// }" "$expected"
    done < <("${@:3}" 2>&1)
    is "calls of drivers in $2" $((number - before)) "$1"
}
answers 27 Python "$VENV/bin/python" "$ROOT/tests/clients/calls.py" "$HOST_NODES/a" shop

# JavaScript's, where there is npm: Debian's is 350 packages, so make setup does not install it.
if have npm; then
    MODULES=$ROOT/target/clients-js-$(sha256sum "$ROOT/tests/clients/package-lock.json" | cut -c 1-12)
    if [[ ! -e $MODULES/complete ]]; then
        mkdir -p "$MODULES"
        cp "$ROOT/tests/clients/package.json" "$ROOT/tests/clients/package-lock.json" "$MODULES"
        if (cd "$MODULES" && npm ci --silent --no-audit --no-fund --ignore-scripts) >"$MODULES.log" 2>&1; then touch "$MODULES/complete"; fi
    fi
fi
if [[ -e ${MODULES:-}/complete ]]; then
    answers 16 JavaScript command node "$ROOT/tests/clients/calls.mjs" "$MODULES" "$HOST_NODES/a" shop
else
    printf 'skipped - %s: node-postgres and postgres.js, which npm installs\n' "$TOPIC"
fi

# Rust's and Java's take minutes to build, or a JDK: in make nightly.
if [[ ${E2I_CLIENTS:-} != all ]]; then exit 0; fi
answers 10 Rust cargo run --quiet --manifest-path "$ROOT/tests/clients/rust/Cargo.toml" --target-dir "$ROOT/target/clients-rust" -- "$HOST_NODES/a" shop
JDBC=/usr/share/java/postgresql.jar
if have javac && [[ -e $JDBC ]]; then
    # JDBC knows no sockets but those of TCP: a server on a port of the loopback interface that was free a moment ago.
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    at a pg_dump -d shop -Fc -f "$NODES/a/shop.dump"
    node b "listen_addresses = '127.0.0.1'" "port = $port"
    at b env "PGPORT=$port" createdb shop
    at b env "PGPORT=$port" pg_restore -d shop "$NODES/a/shop.dump"
    answers 28 Java java -cp "$JDBC" "$ROOT/tests/clients/Calls.java" "jdbc:postgresql://127.0.0.1:$port/shop?user=postgres"
else
    printf 'skipped - %s: JDBC (Debian: libpostgresql-jdbc-java, default-jdk-headless)\n' "$TOPIC"
fi
