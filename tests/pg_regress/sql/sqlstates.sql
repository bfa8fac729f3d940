\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
-- An error of the server, or one that somebody's trigger raises, leaves a function of e2i_serve, and EXPLAIN ANALYZE, with the
-- SQLSTATE that it came with, also one that PostgreSQL itself does not know.
SELECT e2i_register_model('plus', regress.plus(1));

CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'not on a Friday' USING ERRCODE = 'ZX123', DETAIL = 'It is one.', HINT = 'Wait.';
END $$;
CREATE TRIGGER veto BEFORE UPDATE ON ml_bentoml_services FOR EACH ROW EXECUTE FUNCTION veto();
SELECT e2i_set_traffic('plus', '{"plus:1": 1}');
SELECT regress.raised($$ SELECT e2i_set_traffic('plus', '{"plus:1": 1}') $$);
SELECT regress.raised($$ SELECT e2i_deploy('plus:1') $$);
-- Without the library in between, and with EXPLAIN, which the library looks at.
SELECT regress.raised('UPDATE ml_bentoml_services SET reason = NULL');
SELECT regress.raised('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) UPDATE ml_bentoml_services SET reason = NULL');
DROP TRIGGER veto ON ml_bentoml_services;
-- A code that PostgreSQL knows, raised in the same place afterwards, is its own.
SELECT regress.raised('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT 1 / (random() * 0)::int');
SELECT regress.raised($$ SELECT e2i_predict('plus', '{"x": "many"}') $$);
-- What was caught on the way is forgotten.
CREATE FUNCTION caught() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        RAISE EXCEPTION 'caught' USING ERRCODE = 'ZX123';
    EXCEPTION WHEN SQLSTATE 'ZX123' THEN
        RAISE EXCEPTION 'and another one' USING ERRCODE = 'ZX456';
    END;
END $$;
CREATE TRIGGER caught BEFORE UPDATE ON ml_bentoml_services FOR EACH ROW EXECUTE FUNCTION caught();
SELECT regress.raised($$ SELECT e2i_set_traffic('plus', '{"plus:1": 1}') $$);
DROP TRIGGER caught ON ml_bentoml_services;

-- A variable of a row type that was changed since is refused by the server.
CREATE TABLE wide (x real, note text);
INSERT INTO wide VALUES (1, 'a');
DO $$
DECLARE
    r wide%ROWTYPE;
BEGIN
    SELECT * INTO r FROM wide;
    ALTER TABLE wide ALTER COLUMN x TYPE float8;
    RAISE WARNING '%', e2i_predict('plus', r);
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING '% %', SQLSTATE, SQLERRM;
END $$;
DROP TABLE wide;
DROP FUNCTION veto, caught;
