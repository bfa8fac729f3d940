-- A model of scikit-learn as skops saves it: the file is registered as it is, and scores as scikit-learn does.
\set VERBOSITY default
SET client_min_messages = warning;
\set models `echo $E2I_MODELS`
CALL regress.begin_anew();
\set pipeline :models '/skops/pipeline_mixed_logistic.skops'
\set tree :models '/skops/tree_binary.skops'
\set isolation :models '/skops/isolation_features.skops'
\set forest :models '/skops/forest_3.skops'
\set svc :models '/skops/linear_svc.skops'

-- A pipeline: numbers imputed and scaled, texts and codes one-hot, a logistic regression; golden rows prove it.
SELECT e2i_register_model('churn', pg_read_binary_file(:'pipeline'), framework => 'sklearn', examples => '[
  {"features": {"tenure": 16.4, "balance": -270.94, "ratio": 0.5809563465996467, "city": "Bern", "plan": "pro", "visits": 2},
   "label": "class 0", "probabilities": [0.6513701986333101, 0.34862980136668986]},
  {"features": {"tenure": 18.5, "balance": -77.58, "ratio": 0.6001362099961889, "city": "basic ", "plan": "basic", "visits": 1},
   "label": "class 1", "probabilities": [0.3738682674975262, 0.6261317325024738]}]', tolerance => 1e-12);
SELECT framework, engine, task FROM ml_model_registry WHERE model_name = 'churn';
SELECT kind, name, type, required, takes_null FROM e2i_describe_model('churn');

-- Numbers, texts, booleans; what the encoder does not know is ignored, NULL is what was missing in training.
CREATE TABLE skops_customers (tenure real, balance numeric, ratio float8, city text, plan text, visits int, active bool);
INSERT INTO skops_customers VALUES
  (16.5, -270.94, 0.5, 'Bern', 'pro', 2, true),
  (NULL, 100, NULL, NULL, 'basic', 5, NULL),
  (3, 0, 0, 'Atlantis', 'team', 77, false);
SELECT city, round(e2i_predict('churn', c)::numeric, 6) AS churn, e2i_predict_label('churn', c) AS label FROM skops_customers c;
SELECT e2i_predict_proba('churn', c) FROM skops_customers c LIMIT 1;

-- A column that no step reads may be anything, or left out.
SELECT e2i_predict('churn', '{"tenure": 16.4, "balance": -270.94, "ratio": 0.5, "city": "Bern", "plan": "pro", "visits": 2, "active": "perhaps"}')
     = e2i_predict('churn', '{"tenure": 16.4, "balance": -270.94, "ratio": 0.5, "city": "Bern", "plan": "pro", "visits": 2}') AS same;
SELECT e2i_predict('churn', '{"tenure": "long", "balance": 1, "ratio": 1, "city": "Bern", "plan": "pro", "visits": 2}');

-- Trees compare float32 with float64, and let a missing value go where training sent it.
SELECT e2i_register_model('tree', pg_read_binary_file(:'tree'));
SELECT e2i_predict_label('tree', '{"tenure": 30, "calls": 3, "balance": 10, "ratio": 0.5, "score": 1}');
SELECT e2i_predict('tree', '{"tenure": 1e39, "calls": 3, "balance": 10, "ratio": 0.5, "score": 1}');
SELECT e2i_register_model('forest', pg_read_binary_file(:'forest'));
SELECT e2i_predict_label('forest', '{"tenure": null, "calls": null, "balance": null, "ratio": null, "score": 0}');
SELECT e2i_model_classes('forest');

-- A linear model takes no missing values; a support vector machine's margins are no probabilities.
SELECT e2i_register_model('margins', pg_read_binary_file(:'svc'));
SELECT e2i_predict_label('margins', '{"tenure": 30, "calls": 3, "balance": 10, "ratio": 0.5, "score": 1}');
SELECT e2i_predict_label('margins', '{"tenure": null, "calls": 3, "balance": 10, "ratio": 0.5, "score": 1}');
SELECT e2i_predict_proba('margins', '{"tenure": 30, "calls": 3, "balance": 10, "ratio": 0.5, "score": 1}');

-- What is ordinary.
SELECT e2i_register_model('odd', pg_read_binary_file(:'isolation'));
SELECT e2i_predict_label('odd', '{"tenure": 500, "calls": 90, "balance": 90000, "ratio": 7, "score": 1}') AS verdict,
       e2i_predict('odd', '{"tenure": 500, "calls": 90, "balance": 90000, "ratio": 7, "score": 1}') < 0 AS is_odd;

-- What is no such file: a wrong statement, a damaged one, a pickle.
SELECT e2i_register_model('wrong', pg_read_binary_file(:'tree'), framework => 'onnx');
SELECT e2i_register_model('wrong', pg_read_binary_file(:'tree'), task => 'regression');
SELECT e2i_register_model('wrong', substring(pg_read_binary_file(:'tree') FOR 15000));
SELECT e2i_register_model('wrong', overlay(pg_read_binary_file(:'tree') PLACING '\x00000000' FROM length(pg_read_binary_file(:'tree')) - 3000));
SELECT e2i_register_model('wrong', '\x80049503000000000000004b012e');

DROP TABLE skops_customers;
