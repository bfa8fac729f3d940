-- What has changed since 0.1.0. It ends in the same objects, definitions and rights as e2i_serve--0.2.0.sql, which
-- tests/cluster/update.sh compares.
\echo Use "ALTER EXTENSION e2i_serve UPDATE TO '0.2.0'" to load this file. \quit
