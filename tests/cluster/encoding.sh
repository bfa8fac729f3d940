#!/usr/bin/env bash
# In a database that is not in UTF8 the extension can be created, and every function says what it needs as soon as it meets a
# text outside of ASCII, or a model: never an internal error.
source "$(dirname "$0")/common.sh"

node a
for encoding in SQL_ASCII LATIN1 EUC_JP; do
    sql a postgres "CREATE DATABASE \"$encoding\" ENCODING '$encoding' LOCALE 'C' TEMPLATE template0"
    is "$encoding: created" "$(sql a "$encoding" "SET client_min_messages = warning; CREATE EXTENSION e2i_serve; SELECT count(*) FROM e2i_models")" 0
    # Every function that is given a text, with one that is not ASCII wherever it takes one; they end before they do anything. Two read tables
    # in which there is nothing.
    sql a "$encoding" "$PLUS
        CREATE FUNCTION odd() RETURNS text LANGUAGE sql AS \$\$ SELECT convert_from('\xa4a2', current_setting('server_encoding')) \$\$;
        CREATE FUNCTION code(statement text) RETURNS text LANGUAGE plpgsql AS \$\$
        BEGIN
            EXECUTE statement;
            RETURN 'none';
        EXCEPTION WHEN OTHERS THEN
            RETURN SQLSTATE || CASE WHEN SQLERRM ~ current_setting('server_encoding') THEN ' naming it' ELSE ' ' || SQLERRM END;
        END \$\$;"
    is "$encoding: every function with a text" "$(sql a "$encoding" "
        SELECT p.proname, code(format('SELECT * FROM %I(%s)', p.proname, (SELECT string_agg(CASE t.type
                WHEN 'text'::regtype THEN 'odd()' WHEN 'jsonb'::regtype THEN 'jsonb_build_object(odd(), 1)' WHEN 'json'::regtype THEN 'json_build_object(odd(), 1)'
                WHEN 'text[]'::regtype THEN 'ARRAY[odd()]' WHEN 'anyarray'::regtype THEN 'ARRAY[odd()]' WHEN 'record'::regtype THEN 'ROW(odd())'
                WHEN 'bytea'::regtype THEN 'plus(1)' WHEN 'timestamptz'::regtype THEN 'now()' ELSE '''1''::' || format_type(t.type, NULL) END, ', ' ORDER BY t.place)
            FROM unnest(p.proargtypes) WITH ORDINALITY t (type, place)))) AS code
        FROM pg_depend d JOIN pg_proc p ON d.objid = p.oid
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND p.prorettype <> 'trigger'::regtype
            AND p.proargtypes[0] = 'text'::regtype AND p.prokind = 'f'
        ORDER BY p.proname" | grep -v '|0A000 naming it$')" $'e2i_shadow_report|none\ne2i_version_at|none'
    is "$encoding: a model" "$(failure a "$encoding" "SELECT e2i_register_model('sum', plus(1))")" \
        "0A000: e2i_serve works in databases with the encoding UTF8 only, and the encoding of this one is $encoding"
    is "$encoding: nothing was written" "$(sql a "$encoding" "SELECT (SELECT count(*) FROM ml_model_registry), (SELECT count(*) FROM ml_model_events), (SELECT count(*) FROM ml_inference_log_policies)")" '0|0|0'
done
