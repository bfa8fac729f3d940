-- Models are not dropped by the way. The library refuses that (`src/catalog/keep.rs`), and must be loaded to do so.

COMMENT ON FUNCTION e2i_load_library IS 'does nothing but have the library loaded';
CREATE FUNCTION e2i_before_drop() RETURNS event_trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home constant text := (SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'e2i_serve');
BEGIN
    EXECUTE format('SELECT %I.e2i_load_library()', home);
-- Without the library, or the right to enter the schema, other things can still be dropped.
EXCEPTION WHEN undefined_file OR undefined_function OR insufficient_privilege OR null_value_not_allowed THEN
    NULL;
END;
$$;
COMMENT ON FUNCTION e2i_before_drop IS 'event trigger: loads the library, which can refuse a DROP EXTENSION';
CREATE EVENT TRIGGER e2i_serve_keeps_models ON ddl_command_start WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA', 'DROP OWNED')
    EXECUTE FUNCTION e2i_before_drop();
COMMENT ON EVENT TRIGGER e2i_serve_keeps_models IS 'models are not dropped with the extension unless e2i_serve.allow_drop is on';
