-- Runs first: every other test finds the extension in place, and errors in full.
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION e2i_serve;
SELECT extname, extversion FROM pg_extension WHERE extname = 'e2i_serve';
