\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- e2i_predict_pinned is IMMUTABLE: no setting of a session changes its answer. Every setting that a session may change is tried
-- with every value it may take (numbers: the least and the greatest), over columns of every type that a feature can come from.

-- at, day, stamp, colour and code are text, x is float32, y float64, n int64, b boolean. A LabelEncoder makes of each text
-- 1, 2, 4, 8 or 16 where it is 2026-01-31T12:00:00+00:00, 2026-01-31, 2026-01-31T12:00:00, red or a, and 0 otherwise; all is added.
SELECT e2i_register_model('types', decode('
    CAgSADr5CwrBAQoCYXQSBGF0X2YiDExhYmVsRW5jb2RlcioXCg1kZWZhdWx0X2Zsb2F0FQAAAACgAQEqVQoMa2V5c19zdHJpbmdzShkyMDI2LTAxLTMx
    VDEyOjAwOjAwKzAwOjAwSgoyMDI2LTAxLTMxShMyMDI2LTAxLTMxVDEyOjAwOjAwSgNyZWRKAWGgAQgqKwoNdmFsdWVzX2Zsb2F0cz0AAIA/PQAAAEA9
    AACAQD0AAABBPQAAgEGgAQY6CmFpLm9ubngubWwKwwEKA2RheRIFZGF5X2YiDExhYmVsRW5jb2RlcioXCg1kZWZhdWx0X2Zsb2F0FQAAAACgAQEqVQoM
    a2V5c19zdHJpbmdzShkyMDI2LTAxLTMxVDEyOjAwOjAwKzAwOjAwSgoyMDI2LTAxLTMxShMyMDI2LTAxLTMxVDEyOjAwOjAwSgNyZWRKAWGgAQgqKwoN
    dmFsdWVzX2Zsb2F0cz0AAIA/PQAAAEA9AACAQD0AAABBPQAAgEGgAQY6CmFpLm9ubngubWwKxwEKBXN0YW1wEgdzdGFtcF9mIgxMYWJlbEVuY29kZXIq
    FwoNZGVmYXVsdF9mbG9hdBUAAAAAoAEBKlUKDGtleXNfc3RyaW5nc0oZMjAyNi0wMS0zMVQxMjowMDowMCswMDowMEoKMjAyNi0wMS0zMUoTMjAyNi0w
    MS0zMVQxMjowMDowMEoDcmVkSgFhoAEIKisKDXZhbHVlc19mbG9hdHM9AACAPz0AAABAPQAAgEA9AAAAQT0AAIBBoAEGOgphaS5vbm54Lm1sCskBCgZj
    b2xvdXISCGNvbG91cl9mIgxMYWJlbEVuY29kZXIqFwoNZGVmYXVsdF9mbG9hdBUAAAAAoAEBKlUKDGtleXNfc3RyaW5nc0oZMjAyNi0wMS0zMVQxMjow
    MDowMCswMDowMEoKMjAyNi0wMS0zMUoTMjAyNi0wMS0zMVQxMjowMDowMEoDcmVkSgFhoAEIKisKDXZhbHVlc19mbG9hdHM9AACAPz0AAABAPQAAgEA9
    AAAAQT0AAIBBoAEGOgphaS5vbm54Lm1sCsUBCgRjb2RlEgZjb2RlX2YiDExhYmVsRW5jb2RlcioXCg1kZWZhdWx0X2Zsb2F0FQAAAACgAQEqVQoMa2V5
    c19zdHJpbmdzShkyMDI2LTAxLTMxVDEyOjAwOjAwKzAwOjAwSgoyMDI2LTAxLTMxShMyMDI2LTAxLTMxVDEyOjAwOjAwSgNyZWRKAWGgAQgqKwoNdmFs
    dWVzX2Zsb2F0cz0AAIA/PQAAAEA9AACAQD0AAABBPQAAgEGgAQY6CmFpLm9ubngubWwKGQoBeBIDeF9mIgRDYXN0KgkKAnRvGAGgAQIKGQoBeRIDeV9m
    IgRDYXN0KgkKAnRvGAGgAQIKGQoBbhIDbl9mIgRDYXN0KgkKAnRvGAGgAQIKGQoBYhIDYl9mIgRDYXN0KgkKAnRvGAGgAQIKFgoEYXRfZgoFZGF5X2YS
    AnMwIgNBZGQKFgoCczAKB3N0YW1wX2YSAnMxIgNBZGQKFwoCczEKCGNvbG91cl9mEgJzMiIDQWRkChUKAnMyCgZjb2RlX2YSAnMzIgNBZGQKEgoCczMK
    A3hfZhICczQiA0FkZAoSCgJzNAoDeV9mEgJzNSIDQWRkChIKAnM1CgNuX2YSAnM2IgNBZGQKFQoCczYKA2JfZhIFc2NvcmUiA0FkZBIBZ1oVCgJhdBIP
    Cg0ICBIJCgMSAU4KAggBWhYKA2RheRIPCg0ICBIJCgMSAU4KAggBWhgKBXN0YW1wEg8KDQgIEgkKAxIBTgoCCAFaGQoGY29sb3VyEg8KDQgIEgkKAxIB
    TgoCCAFaFwoEY29kZRIPCg0ICBIJCgMSAU4KAggBWhQKAXgSDwoNCAESCQoDEgFOCgIIAVoUCgF5Eg8KDQgLEgkKAxIBTgoCCAFaFAoBbhIPCg0IBxIJ
    CgMSAU4KAggBWhQKAWISDwoNCAkSCQoDEgFOCgIIAWIYCgVzY29yZRIPCg0IARIJCgMSAU4KAggBQgQKABANQg4KCmFpLm9ubngubWwQAg==', 'base64'));
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TABLE visit (at timestamptz, day date, stamp timestamp, colour colour, code char(3), x numeric, y double precision, n bigint, b boolean);
INSERT INTO visit VALUES ('2026-01-31 12:00+00', '2026-01-31', '2026-01-31 12:00', 'red', 'a', 100.25, 1000.1, 10000, true);
CREATE TABLE moments (at timestamptz, day timestamptz, stamp timestamptz, colour name, code varchar, x real, y timestamptz, n date, b smallint);
INSERT INTO moments VALUES ('2026-01-31 12:00+00', NULL, NULL, 'green', 'b', 100.25, '2026-01-31 12:00+00', '1970-01-02', 1);
UPDATE moments SET day = 'infinity', stamp = '-infinity';
CREATE VIEW pinned AS
SELECT ARRAY[
    (SELECT e2i_predict_pinned('types:1', v) FROM visit v),
    (SELECT e2i_predict_pinned('types:1', m) FROM moments m),
    (SELECT e2i_predict_pinned('types:1', '{"at": "2026-01-31T12:00:00+00:00", "day": "", "stamp": "", "colour": "red", "code": "a", "x": 0.1, "y": 1e2, "n": 3, "b": false}'::text)),
    (SELECT e2i_predict_pinned('types:1', '["2026-01-31T12:00:00+00:00", "", "", "red", "a", 0.1, 1e2, 3, true]'::jsonb))] AS scores;
TABLE pinned;
CREATE FUNCTION differing() RETURNS TABLE (setting text, value text, scores float8[]) LANGUAGE plpgsql AS $$
DECLARE
    expected float8[] := (SELECT p.scores FROM pinned p);
    tried int := 0;
BEGIN
    FOR setting, value IN
        SELECT s.name, v.value
        FROM pg_settings s, unnest(CASE s.vartype
            WHEN 'bool' THEN '{on,off}'
            WHEN 'enum' THEN s.enumvals
            WHEN 'string' THEN CASE
                WHEN s.name = 'TimeZone' THEN '{Asia/Kolkata,America/St_Johns,Pacific/Apia,UTC}'
                WHEN s.name = 'DateStyle' THEN '{ISO,SQL,German,Postgres,"SQL, DMY"}'
                WHEN s.name LIKE 'lc\_%' THEN '{C,C.UTF-8}'
                WHEN s.name = 'search_path' THEN '{public,"public, pg_catalog","pg_temp, public"}'
                ELSE ARRAY[s.reset_val, ''] END
            ELSE ARRAY[s.min_val, s.max_val] END) v (value)
        WHERE s.context IN ('user', 'superuser')
            AND s.name !~ '^(client_min_messages|client_encoding|role|session_authorization|log_|debug_|trace_|.*_timeout|transaction_|default_transaction_|max_stack_depth|exit_on_error)'
        ORDER BY 1, 2
    LOOP
        BEGIN
            BEGIN
                PERFORM set_config(setting, value, true);
            EXCEPTION WHEN OTHERS THEN
                RAISE EXCEPTION 'not a value of it' USING ERRCODE = 'ZX000';
            END;
            SELECT p.scores INTO scores FROM pinned p;
            tried := tried + 1;
            IF scores IS DISTINCT FROM expected THEN
                RETURN NEXT;
            END IF;
            RAISE EXCEPTION 'set it back' USING ERRCODE = 'ZX000';
        EXCEPTION WHEN SQLSTATE 'ZX000' THEN NULL;
        END;
    END LOOP;
    RAISE WARNING 'tried more than 200: %', tried > 200;
END $$;
SELECT * FROM differing();

-- Nor what a superuser says of threads, on which sums of ONNX Runtime depend: it has one for a pinned version.
SELECT e2i_register_model('sums', regress.onnx('shape_cumsum'));
SELECT engine FROM ml_model_registry WHERE model_name = 'sums';
CREATE VIEW threads AS SELECT count(*) FROM pg_ls_dir('/proc/self/task');
SELECT e2i_predict_pinned('sums:1', (SELECT array_agg(1) FROM e2i_describe_model('sums:1') WHERE kind = 'feature')) IS NOT NULL AS scored;
SELECT count AS before FROM threads \gset
SET e2i_serve.intra_op_threads = 3;
SELECT e2i_predict_pinned('sums:1', (SELECT array_agg(1) FROM e2i_describe_model('sums:1') WHERE kind = 'feature')) IS NOT NULL AS scored;
SELECT count - :before AS more FROM threads;
SELECT e2i_predict('sums:1', (SELECT array_agg(1) FROM e2i_describe_model('sums:1') WHERE kind = 'feature')) IS NOT NULL AS scored;
SELECT count - :before AS more FROM threads;
DROP VIEW threads;
RESET e2i_serve.intra_op_threads;

-- An index that was made in one time zone answers in another.
CREATE INDEX visit_pinned ON visit (e2i_predict_pinned('types:1', visit));
SET TimeZone = 'Asia/Kolkata';
SET enable_seqscan = off;
SELECT count(*) FROM visit v WHERE e2i_predict_pinned('types:1', v) = 11132.349609375;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_seqscan = on;
SELECT count(*) FROM visit v WHERE e2i_predict_pinned('types:1', v) = 11132.349609375;
-- The other functions write a timestamptz as to_jsonb does, in the session's time zone.
SELECT e2i_predict('types:1', v) = e2i_predict('types:1', to_jsonb(v) || '{"code": "a"}') AS as_jsonb,
    e2i_predict('types:1', v) = e2i_predict_pinned('types:1', v) AS as_pinned FROM visit v;
RESET ALL;
DROP VIEW pinned;
DROP TABLE visit, moments;
DROP TYPE colour;
DROP FUNCTION differing;
