//! The schema that the extension lives in, and the role that owns it.

use pgrx::pg_sys;

use crate::catalog::{rights, version};
use crate::error::{OrRaise, raise};
use crate::pg::query::Query;
use crate::pg::table::Table;
use crate::pg::{call_site, namespace, role};
use e2i_core::{Error, Kind};

/// Where the extension's tables are, for one call.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    oid: pg_sys::Oid,
}

impl From<Schema> for pg_sys::Oid {
    fn from(schema: Schema) -> Self {
        schema.oid
    }
}

const EXTENSION: Query = Query::new("SELECT e.extnamespace FROM pg_extension e WHERE e.extname = 'e2i_serve'");

impl Schema {
    /// The schema of the function that is being called. Refuses the call if the extension is of another version than the library.
    ///
    /// # Safety
    /// `fcinfo` must be the argument of the function that is being called.
    pub unsafe fn of_call(fcinfo: pg_sys::FunctionCallInfo) -> Self {
        version::require_same().or_raise();
        // SAFETY: as the caller promises.
        Self { oid: unsafe { call_site::schema(fcinfo) } }
    }

    /// The schema of a function of the extension.
    ///
    /// # Errors
    /// An extension of another version than the library.
    pub fn of_function(function: pg_sys::Oid) -> e2i_core::Result<Self> {
        version::require_same()?;
        // SAFETY: a catalog look-up.
        Ok(Self { oid: unsafe { pg_sys::get_func_namespace(function) } })
    }

    /// The schema of a table.
    pub fn of_relation(table: pg_sys::Oid) -> Self {
        // SAFETY: a catalog look-up.
        Self { oid: unsafe { pg_sys::get_rel_namespace(table) } }
    }

    /// The same as [`Schema::of_call`] for a function that writes.
    ///
    /// # Safety
    /// As [`Schema::of_call`].
    pub unsafe fn of_change(fcinfo: pg_sys::FunctionCallInfo) -> Self {
        // SAFETY: no arguments; then as the caller promises.
        unsafe {
            if pg_sys::RecoveryInProgress() {
                let function = call_site::name(fcinfo);
                raise(
                    &Error::new(Kind::ReadOnly, format!("this server is a standby, and {function} writes"))
                        .with_hint("Do it on the primary; the standby follows by itself."),
                );
            }
            Self::of_call(fcinfo)
        }
    }

    /// The schema of the extension in this database, if it is there.
    pub fn of_extension() -> Option<Self> {
        let home = pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE);
        EXTENSION.select(home, &[], |row| row.get::<pg_sys::Oid>(1)).pop().flatten().map(|oid| Self { oid })
    }

    /// The same, and keeps the extension until the end of the transaction: who drops it waits before it locks any table, so the two
    /// cannot wait for each other. Waits for who drops it already, as long as `lock_timeout` allows.
    pub fn of_held_extension() -> Option<Self> {
        // SAFETY: a look-up in a catalog by name, which is made again once the lock is there; the lock is released with the transaction.
        unsafe {
            let find = || pg_sys::get_extension_oid(c"e2i_serve".as_ptr(), true);
            let extension = find();
            if extension == pg_sys::Oid::INVALID {
                return None;
            }
            let mode = pg_sys::AccessShareLock.cast_signed();
            pg_sys::LockDatabaseObject(pg_sys::ExtensionRelationId, extension, 0, mode);
            (find() == extension).then(Self::of_extension).flatten()
        }
    }

    /// The schema as it is written in a query, quoted.
    pub fn quoted(self) -> String {
        match namespace::name(self.oid) {
            Some(name) => namespace::quoted(&name),
            None => raise(&Error::new(Kind::Internal, "the schema of the extension is gone")),
        }
    }

    /// The registry table.
    pub fn registry(self) -> pg_sys::Oid {
        self.relation(c"ml_model_registry")
    }

    /// A table, invalid if there is none.
    pub fn relation(self, name: &std::ffi::CStr) -> pg_sys::Oid {
        // SAFETY: a catalog look-up by name.
        unsafe { pg_sys::get_relname_relid(name.as_ptr(), self.oid) }
    }

    /// Opens a table, to read what its owner may.
    pub fn table(self, name: &std::ffi::CStr) -> Table {
        match self.relation(name) {
            pg_sys::Oid::INVALID => missing(name),
            table => Table::open(table),
        }
    }

    /// Whether no policy is forced upon the owner of a table.
    pub fn is_whole_for_owner(self, name: &std::ffi::CStr) -> bool {
        !filters(self.relation(name), self.owner())
    }

    /// Whether the caller sees all of each row of the registry: all columns are granted, and no policy applies. What is checked
    /// otherwise, only a query can tell.
    pub fn is_whole(self) -> bool {
        let (registry, role) = (self.registry(), role::current());
        // SAFETY: a catalog look-up.
        let granted = unsafe { pg_sys::pg_class_aclcheck(registry, role, pg_sys::AclMode::from(pg_sys::ACL_SELECT)) };
        granted == pg_sys::AclResult::ACLCHECK_OK && !filters(registry, role)
    }

    /// Whether the caller may SELECT from the registry, all columns or some; which rows, row-level security says.
    pub fn can_be_read(self) -> bool {
        let (registry, role) = (self.registry(), role::current());
        let select = pg_sys::AclMode::from(pg_sys::ACL_SELECT);
        // SAFETY: catalog look-ups; the table is there, or was dropped and nobody may read it.
        unsafe {
            pg_sys::pg_class_aclcheck(registry, role, select) == pg_sys::AclResult::ACLCHECK_OK
                || pg_sys::pg_attribute_aclcheck_all(registry, role, select, pg_sys::AclMaskHow::ACLMASK_ANY)
                    == pg_sys::AclResult::ACLCHECK_OK
        }
    }

    /// Says as the server would that the caller may not read the registry, and besides which grant is missing.
    ///
    /// # Errors
    /// [`Kind::Privilege`].
    pub fn require_reading(self) -> e2i_core::Result<()> {
        if self.can_be_read() {
            return Ok(());
        }
        Err(Error::new(Kind::Privilege, "permission denied for table ml_model_registry")
            .with_hint(rights::hint(role::current(), "scorer")))
    }

    /// Runs `f` with the rights of the owner of the extension's tables.
    pub fn as_owner<T>(self, f: impl FnOnce() -> T) -> T {
        role::run_as(self.owner(), f)
    }

    fn owner(self) -> pg_sys::Oid {
        let registry = self.registry();
        // SAFETY: the tuple is released after the owner was read; pg_class rows have this form.
        unsafe {
            let tuple =
                pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, pg_sys::Datum::from(registry));
            if tuple.is_null() {
                missing(c"ml_model_registry");
            }
            let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
            pg_sys::ReleaseSysCache(tuple);
            owner
        }
    }
}

#[cold]
fn missing(table: &std::ffi::CStr) -> ! {
    let table = table.to_string_lossy();
    raise(
        &Error::new(Kind::WrongState, format!("the table {table} of the extension e2i_serve is missing"))
            .with_hint("DROP EXTENSION e2i_serve; CREATE EXTENSION e2i_serve;"),
    )
}

/// Whether row-level security of a table applies to a role.
fn filters(table: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    // SAFETY: catalog look-ups; told not to raise an error where `row_security` is off.
    unsafe { pg_sys::check_enable_rls(table, role, true) == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32 }
}
