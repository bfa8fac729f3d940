-- Scores that are written with their rows, and how many are stale.
--
-- What is installed stands in the server's catalog of triggers and nowhere else. All of it runs with the caller's rights: installing
-- takes the rights of CREATE TRIGGER, and who writes a row must see the model that scores it.

-- Fires for each row that is written; its argument is what e2i_score_on_write was called with.
CREATE FUNCTION e2i_score_row() RETURNS trigger
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_score_row';
COMMENT ON FUNCTION e2i_score_row IS 'trigger: scores a row before it is written; installed by e2i_score_on_write';

CREATE FUNCTION e2i_score_on_write("table" regclass, model text, target text DEFAULT NULL, targets jsonb DEFAULT NULL,
        on_error text DEFAULT 'error', on_apply boolean DEFAULT false) RETURNS text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_score_on_write_wrapper';
COMMENT ON FUNCTION e2i_score_on_write IS 'has rows scored as they are written, by a trigger; returns its name';

CREATE FUNCTION e2i_score_on_write_off("table" regclass, model text DEFAULT NULL, target text DEFAULT NULL) RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'e2i_score_on_write_off_wrapper';
COMMENT ON FUNCTION e2i_score_on_write_off IS 'drops the triggers that score rows as they are written; returns how many';

CREATE FUNCTION e2i_score_triggers()
    RETURNS TABLE ("table" regclass, model text, targets jsonb, on_error text, fires text, trigger text, watched text[])
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'e2i_score_triggers_wrapper';
COMMENT ON FUNCTION e2i_score_triggers IS 'what e2i_scored_on_write shows, with the columns that a trigger watches';

CREATE VIEW e2i_scored_on_write AS
    SELECT "table", model, targets, on_error, fires, trigger FROM e2i_score_triggers();
COMMENT ON VIEW e2i_scored_on_write IS 'tables whose rows are scored when they are written, one row a trigger';
COMMENT ON COLUMN e2i_scored_on_write."table" IS 'the table';
COMMENT ON COLUMN e2i_scored_on_write.model IS 'the reference of the model that scores';
COMMENT ON COLUMN e2i_scored_on_write.targets IS 'which column takes what';
COMMENT ON COLUMN e2i_scored_on_write.on_error IS 'what becomes of a row that cannot be scored: error or null';
COMMENT ON COLUMN e2i_scored_on_write.fires IS 'origin (writes here), replica (what is replicated), always or disabled';
COMMENT ON COLUMN e2i_scored_on_write.trigger IS 'the trigger''s name';

CREATE FUNCTION e2i_features_hash(model text, features record) RETURNS bigint
    LANGUAGE c STABLE STRICT PARALLEL SAFE COST 200 AS 'MODULE_PATHNAME', 'e2i_features_hash';
COMMENT ON FUNCTION e2i_features_hash IS 'a hash of a row''s features; NULL for a row that the model does not take';

CREATE FUNCTION e2i_answering_versions(model text) RETURNS text[]
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'e2i_answering_versions_wrapper';
COMMENT ON FUNCTION e2i_answering_versions IS 'the versions that may answer to a reference now, the one meant first';

-- The rights of this view are its owner's, and the rows those of the caller: jobs of roles that the caller is, and those that wrote
-- tables which the caller may read.
CREATE VIEW e2i_score_history WITH (security_barrier) AS
    SELECT j.id AS job, j.target_table AS "table", j.model_name || ':' || j.model_version AS version, j.written AS "rows", j.status,
           date_trunc('second', j.started_at) AS started_at, date_trunc('second', j.ended_at - j.started_at) AS took,
           j.started_by, j.model, j.source_table, j.targets
    FROM ml_scoring_jobs j
        LEFT JOIN (SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace) t
            ON t.name = j.target_table
        LEFT JOIN pg_roles r ON r.rolname = j.started_by
    WHERE coalesce(pg_has_role(r.oid, 'USAGE'), false) OR coalesce(has_table_privilege(t.oid, 'SELECT'), false)
    ORDER BY j.id DESC;
COMMENT ON VIEW e2i_score_history IS 'which version scored which table and when, of scoring jobs, the latest first';
COMMENT ON COLUMN e2i_score_history.job IS 'number of the job';
COMMENT ON COLUMN e2i_score_history."table" IS 'the table that was written, with its schema';
COMMENT ON COLUMN e2i_score_history.version IS 'the version that scored; of a job that follows deployments the latest one';
COMMENT ON COLUMN e2i_score_history."rows" IS 'rows that were written';
COMMENT ON COLUMN e2i_score_history.status IS 'as in ml_scoring_jobs';
COMMENT ON COLUMN e2i_score_history.started_at IS 'when it began';
COMMENT ON COLUMN e2i_score_history.took IS 'how long it took from then, with all interruptions';
COMMENT ON COLUMN e2i_score_history.started_by IS 'by which role';
COMMENT ON COLUMN e2i_score_history.model IS 'the model as it was asked for';
COMMENT ON COLUMN e2i_score_history.source_table IS 'the table whose rows were scored';
COMMENT ON COLUMN e2i_score_history.targets IS 'which column took what';

CREATE FUNCTION e2i_stale_scores("table" regclass, model text DEFAULT NULL, targets jsonb DEFAULT NULL)
    RETURNS TABLE (scored_by text, deployed text, "rows" bigint, stale bigint, unscored bigint, other_version bigint, changed bigint)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    home constant text := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'e2i_serve');
    kept record;
    versions text[];
    is_known boolean := false;
BEGIN
    FOR kept IN EXECUTE format('SELECT k.model, k.targets ->> ''version'' AS version, max(k.targets ->> ''features_hash'') AS hash FROM (
            SELECT w.model, w.targets FROM %1$I.e2i_scored_on_write w WHERE $3 IS NULL AND w."table" = $1
            UNION ALL SELECT h.model, CASE WHEN h.source_table = h."table" THEN h.targets ELSE h.targets - ''features_hash'' END
                FROM %1$I.e2i_score_history h WHERE $3 IS NULL AND h."table" = $1::text AND h.status = ''finished''
            UNION ALL SELECT $2, $3 WHERE $3 IS NOT NULL) k
        WHERE ($2 IS NULL OR k.model = $2) AND k.targets ->> ''version'' IS NOT NULL AND ($3 IS NOT NULL OR EXISTS (
            SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attname = k.targets ->> ''version'' AND NOT a.attisdropped))
        GROUP BY 1, 2 ORDER BY 1, 2', home) USING $1, $2, $3
    LOOP
        EXECUTE format('SELECT %I.e2i_answering_versions($1)', home) INTO versions USING kept.model;
        RETURN QUERY EXECUTE format(
            'SELECT $1, $2[1], s.all_rows, s.none + s.other + s.changed, s.none, s.other, s.changed FROM (
                 SELECT count(*) AS all_rows, count(*) FILTER (WHERE t.%1$I IS NULL) AS none,
                     count(*) FILTER (WHERE t.%1$I::text <> ALL ($2)) AS other,
                     count(*) FILTER (WHERE t.%1$I::text = ANY ($2) AND %2$s) AS changed
                 FROM %3$s t) s',
            kept.version,
            CASE WHEN kept.hash IS NULL THEN 'false' ELSE format('t.%I IS DISTINCT FROM %I.e2i_features_hash($1, t)', kept.hash, home) END,
            $1) USING kept.model, versions;
        is_known := true;
    END LOOP;
    IF NOT is_known THEN
        RAISE EXCEPTION 'nothing is known of versions that scored table %', $1
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('Name the model and the column that keeps its version: SELECT * FROM e2i_stale_scores(%L, %L, targets => %L);',
                      $1, coalesce($2, 'churn'), '{"version": "churn_version"}');
    END IF;
END;
$$;
COMMENT ON FUNCTION e2i_stale_scores IS 'how many rows of a table have no score, or one of before';
