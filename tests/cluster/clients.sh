#!/usr/bin/env bash
# What drivers send for a text, a dictionary and a list reaches a scoring function without a cast, as the manual's table of them says.
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
while IFS='|' read -r driver call answer; do
    case $call in
        *e2i_serve*) expected="[$SCORE, $SCORE]" ;;
        *) expected=$SCORE ;;
    esac
    is "$driver$call" "${answer# }" "$expected"
done < <("$VENV/bin/python" "$ROOT/tests/clients/calls.py" "$HOST_NODES/a" shop 2>&1)
is 'all have answered' "$number" 27
