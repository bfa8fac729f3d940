-- Every member of the extension and what it is, a line each, as far as anybody can tell: two extensions with the same lines are the
-- same. Without the positions of columns that are gone; rights as they work, and as pg_dump takes them for the extension's own.
WITH member AS (
    SELECT classid, objid FROM pg_depend
    WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
      AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'e2i_serve')
), relation AS (
    SELECT c.*, c.oid::regclass::text AS name FROM pg_class c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid
    UNION ALL
    SELECT c.*, c.oid::regclass::text FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
        JOIN member ON classid = 'pg_class'::regclass AND objid = i.indrelid
), line (kind, name, what) AS (
    SELECT 'member', pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::text) FROM member
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid) || ' OWNER ' || proowner::regrole || ' RIGHTS '
            || array(SELECT a::text FROM unnest(coalesce(proacl, acldefault('f', proowner))) a ORDER BY 1)::text
        FROM pg_proc p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
    UNION ALL
    SELECT 'relation', name, concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident, reloptions::text,
            'OWNER', relowner::regrole, 'RIGHTS', array(SELECT a::text
                FROM unnest(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))) a ORDER BY 1),
            CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END, CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END,
            CASE WHEN relkind IN ('i', 'I') THEN pg_get_indexdef(oid) END, obj_description(oid, 'pg_class'))
        FROM relation
    UNION ALL
    SELECT 'column', r.name || '.' || attname, concat_ws(' ', row_number() OVER (PARTITION BY r.oid ORDER BY attnum),
            format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull, attstorage, attcompression, attidentity,
            attgenerated, attacl::text, pg_get_expr(adbin, adrelid), col_description(r.oid, attnum))
        FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND attnum > 0 AND NOT attisdropped
            LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = attnum
    UNION ALL
    SELECT 'constraint', r.name || '.' || conname, concat_ws(' ', pg_get_constraintdef(c.oid), convalidated,
            obj_description(c.oid, 'pg_constraint'))
        FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
    UNION ALL
    SELECT 'trigger', r.name || '.' || tgname, concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled, obj_description(t.oid, 'pg_trigger'))
        FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT tgisinternal
    UNION ALL
    SELECT 'policy', r.name || '.' || polname, concat_ws(' ', polcmd, polpermissive, polroles::text, pg_get_expr(polqual, polrelid),
            pg_get_expr(polwithcheck, polrelid))
        FROM relation r JOIN pg_policy p ON p.polrelid = r.oid
    UNION ALL
    SELECT 'sequence', r.name, concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle)
        FROM relation r JOIN pg_sequence s ON s.seqrelid = r.oid
    UNION ALL
    SELECT 'type', t.oid::regtype::text, concat_ws(' ', typtype, typowner::regrole, typacl::text,
            array(SELECT enumlabel FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder)::text)
        FROM pg_type t JOIN member ON classid = 'pg_type'::regclass AND objid = t.oid
    UNION ALL
    SELECT 'event trigger', evtname, concat_ws(' ', evtevent, evtfoid::regprocedure, evtenabled, evttags::text)
        FROM pg_event_trigger t JOIN member ON classid = 'pg_event_trigger'::regclass AND objid = t.oid
    UNION ALL
    SELECT 'first rights', pg_describe_object(i.classoid, i.objoid, i.objsubid),
            array(SELECT a::text FROM unnest(initprivs) a ORDER BY 1)::text
        FROM pg_init_privs i JOIN member ON classid = classoid AND objid = objoid
    UNION ALL
    SELECT 'dumped', config::regclass::text, condition
        FROM pg_extension, unnest(extconfig, extcondition) AS dumped (config, condition) WHERE extname = 'e2i_serve'
    UNION ALL
    SELECT 'extension', extname, concat_ws(' ', extversion, extrelocatable, extowner::regrole)
        FROM pg_extension WHERE extname = 'e2i_serve'
)
SELECT concat_ws(' ', kind, name, coalesce(what, '-')) COLLATE "C" FROM line ORDER BY 1;
