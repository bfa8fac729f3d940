-- Text graphs: words of a note in small letters, counted. They score natively, whatever locales the server has.
\set VERBOSITY default
SET client_min_messages = warning;
CALL regress.begin_anew();

-- A graph that names no locale asks ONNX Runtime for en_US.UTF-8. Letters change case one by one.
SELECT e2i_register_model('small', regress.onnx('shape_locale'));
SELECT engine, engine_reason FROM ml_model_registry;
SELECT note, e2i_predict_label('small', ARRAY[note]) FROM unnest(ARRAY['The FOX', 'ÄÖÜ ß É', 'ΑΣ', 'İ', '']) AS note;

-- Words, and what stands between them, in any number: rows do not depend on each other.
SELECT e2i_register_model('notes', regress.onnx('notes_tfidf'));
CREATE TABLE notes AS SELECT n, note FROM unnest(ARRAY['asked about a brochure', 'ASKED, about... a/brochure!', 'brochure', '', 'größe',
    repeat('call the clinic ', 500)]) WITH ORDINALITY AS t (note, n);
SELECT n, left(note, 30) AS note, round(e2i_predict('notes', ARRAY[note])::numeric, 4) AS score FROM notes ORDER BY n;
SELECT count(*) AS rows, count(*) FILTER (WHERE together::float8 <> e2i_predict('notes', ARRAY[note])) AS differ
FROM jsonb_array_elements_text((SELECT e2i_serve('notes', jsonb_build_object('features', jsonb_agg(jsonb_build_array(note) ORDER BY n))) -> 'predictions' FROM notes))
    WITH ORDINALITY AS t (together, n) JOIN notes USING (n);
DROP TABLE notes;
