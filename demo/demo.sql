-- What `make demo` shows: customers in a table, models registered from files, scores by SQL.
\set QUIET on
\pset footer off
\pset border 1
\set ON_ERROR_STOP on

CREATE EXTENSION e2i_serve;

CREATE TABLE customers (
    id                 integer PRIMARY KEY,
    specialty          text,
    region             text,
    years_in_practice  integer,
    tenure_months      integer,
    patient_volume     integer,
    calls_last_quarter integer,
    engagement_score   double precision,
    rx_last_quarter    double precision,
    is_kol             boolean,
    churn_score        double precision
);
SELECT :'models' || '/customers.csv' AS customers_file \gset
COPY customers (id, specialty, region, years_in_practice, tenure_months, patient_volume, calls_last_quarter,
    engagement_score, rx_last_quarter, is_kol) FROM :'customers_file' WITH (FORMAT csv, HEADER);
VACUUM ANALYZE customers;

CREATE TABLE wines AS SELECT (row ->> 'label') AS grower, (row -> 'features') AS features
FROM jsonb_array_elements(pg_read_file(:'models' || '/wine_forest.golden.json')::jsonb -> 'rows') AS row;

\echo '1. Models come from files (or from any client, as bytea):'
\echo
SELECT e2i_register_model('churn', pg_read_binary_file(:'models' || '/skops/hcp_churn.skops')) AS "SELECT e2i_register_model(…)"
UNION ALL SELECT e2i_register_model('wine', pg_read_binary_file(:'models' || '/wine_forest.onnx'),
    feature_names => (SELECT array_agg(name) FROM jsonb_array_elements_text(
        pg_read_file(:'models' || '/wine_forest.golden.json')::jsonb -> 'feature_names') AS name))
UNION ALL SELECT e2i_register_model('notes', pg_read_binary_file(:'models' || '/notes_tfidf.onnx'))
UNION ALL SELECT e2i_register_model('uplift', pg_read_binary_file(:'models' || '/hcp_two_graph.onnx'),
    preprocessor => pg_read_binary_file(:'models' || '/hcp_two_graph.preprocessor.onnx'));

\echo
\echo '2. A row goes in as it is; features are found by name:'
\echo '   SELECT id, specialty, e2i_predict(''churn'', c) FROM customers c ORDER BY 3 DESC LIMIT 5;'
\echo
SELECT id, specialty, round(e2i_predict('churn', c)::numeric, 4) AS churn, e2i_predict_label('churn', c) AS label
FROM customers c ORDER BY 3 DESC, 1 LIMIT 5;

\echo
\echo '3. JSON does, too, in the shape that a model server takes:'
\echo
SELECT jsonb_pretty(e2i_serve('churn', '{"input_data": {"features": [
    {"specialty": "Oncology", "region": "West", "years_in_practice": 12, "tenure_months": 20, "patient_volume": 300,
     "calls_last_quarter": 4, "engagement_score": 41.5, "rx_last_quarter": null, "is_kol": true}]}}')
    - '_metadata' - 'prediction_time_ms') AS "SELECT e2i_serve('churn', …)";

\echo
\echo '4. Text classes, text features, two graphs in a row:'
\echo
SELECT grower AS "grown as", e2i_predict_label('wine', features) AS "predicted",
    (SELECT string_agg(to_char(p, 'FM0.00'), ' ') FROM unnest(e2i_predict_proba('wine', features)) AS p) AS "probabilities"
FROM (SELECT DISTINCT ON (grower) * FROM wines ORDER BY grower) AS one_of_each;
SELECT note, round(e2i_predict('notes', jsonb_build_object('note', note))::numeric, 3) AS "notes"
FROM (VALUES ('interested, asked for samples'), ('not interested, do not call')) AS n (note);
SELECT id, round(e2i_predict('uplift', c)::numeric, 3) AS uplift FROM customers c WHERE id <= 3;

\echo
\echo '5. A scoring job is an UPDATE; times are those of this run:'
\echo '   UPDATE customers c SET churn_score = e2i_predict(''churn'', c);'
\timing on
UPDATE customers c SET churn_score = e2i_predict('churn', c);
SELECT e2i_predict('churn', c) AS "one row" FROM customers c WHERE id = 42;
\timing off

\echo
\echo '6. What a model takes, and what this session holds:'
\echo
SELECT kind, name, type, shape, required, takes_null FROM e2i_describe_model('churn');
SELECT model, version, engine, pg_size_pretty(bytes) AS size, loads, hits FROM e2i_session_cache;
