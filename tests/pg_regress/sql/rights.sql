-- Who may do what with each member of the extension, its owner aside: a new one shows up here, and is nobody's until sql/rights.sql
-- says whose.
\pset format unaligned
CREATE TEMP VIEW acls AS
SELECT regexp_replace(pg_describe_object(d.classid, d.objid, 0), '^(view|table|sequence|type|function) (public\.)?', '\1 ') AS member, a.acl
FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e',
LATERAL (SELECT COALESCE(proacl, acldefault('f', proowner)) FROM pg_proc WHERE d.classid = 'pg_proc'::regclass AND oid = d.objid
    UNION ALL SELECT COALESCE(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) FROM pg_class WHERE d.classid = 'pg_class'::regclass AND oid = d.objid
    UNION ALL SELECT COALESCE(typacl, acldefault('T', typowner)) FROM pg_type WHERE d.classid = 'pg_type'::regclass AND oid = d.objid AND typtype = 'e') AS a (acl)
WHERE e.extname = 'e2i_serve';
SELECT member, (SELECT string_agg(DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END || ': ' || privilege_type, ', ')
    FROM aclexplode(acl) WHERE grantee <> grantor) AS others
FROM acls ORDER BY 1;

-- What each set adds is what its line in the view says, and no more.
CREATE ROLE regress_scorer;
CREATE ROLE regress_deployer;
CREATE ROLE regress_admin;
SELECT e2i_grant_usage('regress_scorer', 'scorer'), e2i_grant_usage('regress_deployer', 'deployer'), e2i_grant_usage('regress_admin', 'admin');
SELECT pg_get_userbyid(grantee) AS role, privilege_type AS privilege, count(*) FROM acls, aclexplode(acl)
WHERE grantee IN ('regress_scorer'::regrole, 'regress_deployer'::regrole, 'regress_admin'::regrole) GROUP BY 1, 2 ORDER BY 1, 2;
SELECT kind, privilege, count(*) FROM e2i_rights WHERE kind <> 'owner' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT object FROM e2i_rights WHERE kind = 'owner' ORDER BY 1;
-- Anybody may read it.
SET ROLE regress_scorer;
SELECT privilege, object FROM e2i_rights WHERE kind IN ('scorer', 'pg_monitor') ORDER BY 2;
SELECT e2i_grant_usage('regress_scorer', 'admin');
RESET ROLE;
SELECT e2i_grant_usage('regress_scorer', 'owner');
DROP OWNED BY regress_scorer, regress_deployer, regress_admin;
DROP ROLE regress_scorer, regress_deployer, regress_admin;
