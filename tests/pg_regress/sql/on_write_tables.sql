-- Scores on write in partitions, children and temporary tables; whose rights; several tables of one model.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();
SELECT e2i_register_model('sum', regress.plus(1));
SELECT e2i_register_model('sum', regress.plus(2));

-- A trigger of a partitioned table is one of its partitions, too, those of now and those to come; their columns may be in another order.
CREATE TABLE parts (id int, x real, score float8, version text) PARTITION BY RANGE (id);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
SELECT e2i_score_on_write('parts', 'sum', targets => '{"score": "score", "version": "version"}');
CREATE TABLE parts_high (version text, gone int, score float8, x real, id int);
ALTER TABLE parts_high DROP COLUMN gone;
ALTER TABLE parts ATTACH PARTITION parts_high FOR VALUES FROM (100) TO (200);
INSERT INTO parts SELECT id, id FROM generate_series(98, 101) id RETURNING tableoid::regclass, *;
INSERT INTO parts_high (id, x) VALUES (150, 1) RETURNING score;
-- A row that moves to another partition is an insert there.
UPDATE parts SET id = 110, x = 0 WHERE id = 98 RETURNING tableoid::regclass, score;
UPDATE parts SET id = 111 WHERE id = 99 RETURNING tableoid::regclass, score;
SELECT "table", model FROM e2i_scored_on_write;
SELECT "rows", stale FROM e2i_stale_scores('parts');
SELECT e2i_score_on_write_off('parts');
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('parts'::regclass, 'parts_low'::regclass, 'parts_high'::regclass);
-- The server keeps the key of the partitions from being written so.
CREATE TABLE keyed (x real, score float8) PARTITION BY RANGE (score);
CREATE TABLE keyed_low PARTITION OF keyed FOR VALUES FROM (0) TO (10);
CREATE TABLE keyed_rest PARTITION OF keyed DEFAULT;
SELECT e2i_score_on_write('keyed', 'sum', 'score');
INSERT INTO keyed VALUES (1);
DROP TABLE keyed, parts;
-- Children of a table are tables of their own.
CREATE TABLE parent (x real, score float8);
CREATE TABLE child () INHERITS (parent);
SELECT e2i_score_on_write('parent', 'sum', 'score');
INSERT INTO child VALUES (1) RETURNING score;
INSERT INTO parent VALUES (1) RETURNING score;
DROP TABLE child, parent;
CREATE TEMP TABLE passing (x real, score float8);
SELECT e2i_score_on_write('passing', 'sum', 'score');
INSERT INTO passing VALUES (1) RETURNING score;
DROP TABLE passing;

-- Triggers that make the features what they are have names that come before.
CREATE TABLE prepared (raw text, x real, score float8);
CREATE FUNCTION pg_temp.prepare() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.x := length(NEW.raw); RETURN NEW; END $$;
CREATE TRIGGER prepare BEFORE INSERT OR UPDATE ON prepared FOR EACH ROW EXECUTE FUNCTION pg_temp.prepare();
SELECT e2i_score_on_write('prepared', 'sum', 'score');
INSERT INTO prepared VALUES ('four') RETURNING x, score;
DROP TABLE prepared;

-- Some of the columns of another trigger.
CREATE TABLE two (x real, one float8, other float8, version text);
SELECT e2i_score_on_write('two', 'sum', targets => '{"score": "one", "version": "version"}');
SET client_min_messages = notice;
SELECT e2i_score_on_write('two', 'sum:2', targets => '{"score": "one"}');
SET client_min_messages = warning;
SELECT e2i_score_on_write('two', 'sum', 'other');
INSERT INTO two VALUES (1) RETURNING one, other;
SELECT model, targets FROM e2i_scored_on_write;
SELECT e2i_score_on_write_off('two', model => 'sum:2');
SELECT model, targets FROM e2i_scored_on_write;

-- Which tables a deployment leaves stale: those whose model is the service, of which the caller may read.
CREATE TABLE three (x real, score float8);
CREATE TABLE four (LIKE three);
CREATE TABLE five (LIKE three);
CREATE TABLE six (LIKE three);
SELECT e2i_score_on_write(name::regclass, model, 'score') FROM (VALUES ('three', 'sum'), ('four', 'sum'), ('five', 'sum'), ('six', 'sum:1')) v (name, model);
SET client_min_messages = notice;
SELECT version FROM e2i_deploy('sum:2');
SET client_min_messages = warning;
CREATE ROLE regress_deployer;
SELECT e2i_grant_usage('regress_deployer', 'deployer');
GRANT SELECT ON four TO regress_deployer;
SET ROLE regress_deployer;
SET client_min_messages = notice;
SELECT version FROM e2i_rollback('sum');
SET client_min_messages = warning;
RESET ROLE;
-- A version that takes a column which the triggers do not watch.
CREATE TABLE wider (x real, y real, score float8);
SELECT e2i_register_model('wide', regress.plus(1));
SELECT e2i_score_on_write('wider', 'wide', 'score');
SELECT e2i_register_model('wide', regress.plus(2), feature_names => '{y}');
SET client_min_messages = notice;
SELECT version FROM e2i_deploy('wide:2');
SET client_min_messages = warning;
INSERT INTO wider VALUES (10, 20) RETURNING score;
UPDATE wider SET y = 30 RETURNING score;
SELECT e2i_score_on_write('wider', 'wide', targets => '{"score":"score"}', on_error => 'error');
UPDATE wider SET y = 30 RETURNING score;
DROP TABLE wider;
-- A version that shares the traffic is not another one.
SELECT e2i_score_on_write('two', 'sum', targets => '{"score": "one", "version": "version"}');
SELECT e2i_set_traffic('sum', '{"sum:1": 0.5, "sum:2": 0.5}');
TRUNCATE two;
INSERT INTO two SELECT g FROM generate_series(1, 100) g;
SELECT version, count(*) BETWEEN 20 AND 80 AS about_half, bool_and(one = x + right(version, 1)::int) AS right FROM two GROUP BY 1 ORDER BY 1;
SELECT e2i_answering_versions('sum');
SELECT * FROM e2i_stale_scores('two');
SELECT e2i_set_traffic('sum', NULL);
SELECT "rows" = 100 AS all_rows, stale = other_version AND stale BETWEEN 20 AND 80 AS half FROM e2i_stale_scores('two');
DROP TABLE three, four, five, six;

-- Rows are scored with the rights of who writes them, and triggers are made and dropped with those of who says so.
CREATE ROLE regress_writer;
GRANT INSERT, SELECT ON two TO regress_writer;
SET ROLE regress_writer;
INSERT INTO two VALUES (1000) RETURNING one;
SELECT e2i_score_on_write('two', 'sum', 'other');
SELECT e2i_score_on_write_off('two');
RESET ROLE;
SELECT e2i_score_on_write_off('two', target => 'other');
SELECT e2i_score_on_write('two', 'sum', targets => '{"score": "one", "version": "version"}', on_error => 'null');
SET ROLE regress_writer;
INSERT INTO two VALUES (1000), (1001) RETURNING one;
RESET ROLE;
SELECT e2i_grant_usage('regress_writer', 'scorer');
SET ROLE regress_writer;
INSERT INTO two VALUES (1002) RETURNING one;
SELECT stale > 1 AS some FROM e2i_stale_scores('two');
SELECT e2i_score_on_write('two', 'sum', 'other');
RESET ROLE;
GRANT TRIGGER ON two TO regress_writer;
SET ROLE regress_writer;
SELECT e2i_score_on_write('two', 'sum', 'other');
SELECT e2i_score_on_write_off('two');
RESET ROLE;

-- What is applied from elsewhere is as it was scored there, unless that is asked for.
SET session_replication_role = replica;
INSERT INTO two VALUES (2000) RETURNING one, other;
RESET session_replication_role;
SELECT e2i_score_on_write('two', 'sum', 'one', on_apply => true);
SELECT "table", targets, fires FROM e2i_scored_on_write;
SET session_replication_role = replica;
INSERT INTO two VALUES (2000) RETURNING one, other;
RESET session_replication_role;
DROP TABLE two;
DROP OWNED BY regress_writer, regress_deployer;
DROP ROLE regress_writer, regress_deployer;

-- Which version scored which table is known of scoring jobs, to their roles and to who may read the table.
CALL regress.begin_anew();
SELECT e2i_register_model('sum', regress.plus(1)), e2i_register_model('sum', regress.plus(2));
CREATE TABLE jobbed (id int PRIMARY KEY, x real, score float8, version text);
INSERT INTO jobbed SELECT g, g FROM generate_series(1, 5) g;
CALL e2i_score_table('sum', 'jobbed', targets => '{"score": "score", "version": "version"}');
SELECT "table", version, "rows", status, model FROM e2i_score_history WHERE "table" = 'public.jobbed';
SELECT * FROM e2i_stale_scores('jobbed');
-- Whatever has another version answer says so: a deployment, an alias, the end of a split, a registration. One that scored them does not.
SET client_min_messages = notice;
SELECT version FROM e2i_deploy('sum:2');
SELECT * FROM e2i_stale_scores('jobbed');
SELECT version FROM e2i_rollback('sum');
SELECT version FROM e2i_deploy('sum:2', reason => 'again');
SELECT e2i_set_alias('sum', 'best', '1');
CALL e2i_score_table('sum@best', 'jobbed', into_table => 'best_scores');
SELECT e2i_set_alias('sum', 'best', '1');
SELECT e2i_set_alias('sum', 'best', '2');
SELECT * FROM e2i_stale_scores('best_scores', 'sum@best', '{"version": "version"}');
SELECT e2i_set_traffic('sum', '{"sum:1": 0.5, "sum:2": 0.5}');
SELECT e2i_set_traffic('sum', NULL);
SELECT e2i_register_model('sum', regress.plus(3), deploy => false);
SELECT e2i_register_model('sum', regress.plus(4), deploy => true);
SELECT version FROM e2i_undeploy('sum');
SELECT version FROM e2i_deploy('sum:2');
-- Stale ones of another table: those of other versions, and of rows that are new.
INSERT INTO jobbed VALUES (6, 6);
UPDATE best_scores SET version = 'sum:2', score = 0 WHERE id = 1;
CALL e2i_score_table('sum@best', 'jobbed', into_table => 'best_scores', stale_only => true);
SELECT done, written FROM ml_scoring_jobs ORDER BY id DESC LIMIT 1;
SELECT id, score, version FROM best_scores ORDER BY id;
-- Rescoring is asked for with a deployment: schedules that are run once it is committed, if there is a background worker.
BEGIN;
SELECT version FROM e2i_deploy('sum:4', rescore => true);
SELECT name = format('rescore public.jobbed.score as %s', current_user) AS named, model, source_table, options, every, cron, made_by = current_user AS mine FROM ml_scoring_schedules;
SELECT version FROM e2i_deploy('sum:3', rescore => false);
ROLLBACK;
SELECT count(*) FROM ml_scoring_schedules;
SELECT version FROM e2i_deploy('sum:2', rescore => NULL);
SET client_min_messages = warning;
DROP TABLE best_scores;
CREATE ROLE regress_reader;
SET ROLE regress_reader;
SELECT count(*) FROM e2i_score_history WHERE "table" = 'public.jobbed';
RESET ROLE;
GRANT SELECT ON jobbed TO regress_reader;
SET ROLE regress_reader;
SELECT count(*) FROM e2i_score_history WHERE "table" = 'public.jobbed';
RESET ROLE;
DROP TABLE jobbed;
SELECT "table", version FROM e2i_score_history WHERE "table" = 'public.jobbed';
DELETE FROM ml_scoring_jobs;
ALTER TABLE ml_scoring_jobs ALTER id RESTART;
DROP ROLE regress_reader;
