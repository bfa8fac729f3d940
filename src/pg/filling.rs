//! What a query returns, put into a table page by page, as COPY does: past what INSERT looks at for each row, so for tables alone
//! that have nothing to look at.

use std::ffi::CString;

use e2i_core::{Error, Kind};
use pgrx::{PgMemoryContexts, PgTupleDesc, pg_guard, pg_sys};

use crate::error::raise;
use crate::pg::query::Argument;
use crate::pg::sqlstate;

/// Rows that are written at once, as many as COPY collects.
const ROWS: usize = 1000;

/// A column that is written.
pub struct Column<'c> {
    /// Its name.
    pub name: &'c str,
    /// Whether what is written is never NULL.
    pub is_never_null: bool,
}

/// What the server hands rows to.
#[repr(C)]
struct Receiver {
    head: pg_sys::DestReceiver,
    table: pg_sys::Relation,
    slots: Vec<*mut pg_sys::TupleTableSlot>,
    held: usize,
    command: pg_sys::CommandId,
    state: pg_sys::BulkInsertState,
    /// Of what one writing of rows needs.
    memory: PgMemoryContexts,
    written: u64,
}

/// Runs a query with the caller's rights and appends what it returns to a table, whose columns are these and no others; how many rows
/// that were. `None`, and nothing is run, where INSERT would do more than that: for indexes, triggers, policies, constraints, defaults,
/// or a caller who may not.
pub fn fill(table: pg_sys::Oid, columns: &[Column<'_>], sql: &str, arguments: &[Argument]) -> Option<u64> {
    let text =
        CString::new(sql).unwrap_or_else(|_| raise(&Error::new(Kind::BadOption, "a statement contains a zero byte")));
    // SAFETY: the relation is open while it is written, and locked until the end of the transaction; an ERROR in between is cleaned up
    // by the server. The receiver outlives the query.
    sqlstate::keeping(|| unsafe {
        let relation = pg_sys::table_open(table, pg_sys::RowExclusiveLock as _);
        if !is_bare(relation, columns) {
            pg_sys::table_close(relation, pg_sys::NoLock as _);
            return None;
        }
        let mut receiver = Receiver::new(relation);
        pg_sys::SPI_connect();
        let options = pg_sys::SPIExecuteOptions {
            params: parameters(arguments),
            dest: (&raw mut receiver).cast(),
            ..Default::default()
        };
        let code = pg_sys::SPI_execute_extended(text.as_ptr(), &raw const options);
        if code < 0 {
            raise(&Error::new(Kind::Internal, format!("SPI_execute_extended returned {code}")));
        }
        pg_sys::SPI_finish();
        receiver.end();
        pg_sys::table_close(relation, pg_sys::NoLock as _);
        Some(receiver.written)
    })
}

/// Arguments that a query is planned for.
///
/// # Safety
/// In memory that outlives the query.
unsafe fn parameters(arguments: &[Argument]) -> pg_sys::ParamListInfo {
    // SAFETY: as many as were asked for.
    unsafe {
        let list = pg_sys::makeParamList(arguments.len() as i32);
        if !list.is_null() {
            for (place, argument) in (*list).params.as_mut_slice(arguments.len()).iter_mut().zip(arguments) {
                *place = pg_sys::ParamExternData {
                    value: argument.value().unwrap_or(pg_sys::Datum::from(0)),
                    isnull: argument.value().is_none(),
                    pflags: pg_sys::PARAM_FLAG_CONST as u16,
                    ptype: argument.of_type(),
                };
            }
        }
        list
    }
}

/// Whether an INSERT of these columns would do nothing but append them.
///
/// # Safety
/// The relation must be open.
unsafe fn is_bare(relation: pg_sys::Relation, columns: &[Column<'_>]) -> bool {
    // SAFETY: as the caller promises; a descriptor has as many attributes as it says.
    unsafe {
        let (class, descriptor) = (&*(*relation).rd_rel, &*(*relation).rd_att);
        let is_unconstrained = descriptor.constr.is_null()
            || ((*descriptor.constr).num_defval == 0 && (*descriptor.constr).num_check == 0);
        let are_same = || {
            let held = PgTupleDesc::from_pg_unchecked((*relation).rd_att);
            held.len() == columns.len()
                && held.iter().zip(columns).all(|(held, column)| {
                    !held.attisdropped && held.name() == column.name && (!held.attnotnull || column.is_never_null)
                })
        };
        class.relkind as u8 == pg_sys::RELKIND_RELATION
            && !class.relhasindex
            && !class.relhastriggers
            && !class.relhasrules
            && !class.relrowsecurity
            && !class.relispartition
            && (*relation).rd_id.to_u32() >= pg_sys::FirstNormalObjectId
            && is_unconstrained
            && are_same()
            && pg_sys::pg_class_aclcheck((*relation).rd_id, pg_sys::GetUserId(), pg_sys::ACL_INSERT as _)
                == pg_sys::AclResult::ACLCHECK_OK
    }
}

impl Receiver {
    /// # Safety
    /// The table must be open.
    unsafe fn new(table: pg_sys::Relation) -> Self {
        // SAFETY: as the caller promises.
        let slot = |_| unsafe { pg_sys::table_slot_create(table, std::ptr::null_mut()) };
        Self {
            head: pg_sys::DestReceiver {
                receiveSlot: Some(receive),
                rStartup: Some(begin),
                rShutdown: Some(nothing),
                rDestroy: Some(nothing),
                mydest: pg_sys::CommandDest::DestIntoRel,
            },
            table,
            slots: (0..ROWS).map(slot).collect(),
            held: 0,
            command: 0,
            // SAFETY: allocates; given back by `end`.
            state: unsafe { pg_sys::GetBulkInsertState() },
            memory: PgMemoryContexts::new("e2i_serve filling"),
            written: 0,
        }
    }

    /// Writes the rows that are held.
    ///
    /// # Safety
    /// The table must be open.
    unsafe fn write(&mut self) {
        // SAFETY: as the caller promises; the first slots hold rows.
        unsafe {
            let (table, slots, command, state) = (self.table, self.slots.as_mut_ptr(), self.command, self.state);
            let held = self.held as i32;
            self.memory.switch_to(|_| pg_sys::table_multi_insert(table, slots, held, command, 0, state));
            self.memory.reset();
            for slot in &self.slots[..self.held] {
                pg_sys::ExecClearTuple(*slot);
            }
        }
        self.written += self.held as u64;
        self.held = 0;
    }

    /// Writes what is left, and gives back what was taken.
    ///
    /// # Safety
    /// The table must be open.
    unsafe fn end(&mut self) {
        // SAFETY: as the caller promises; each slot is dropped once.
        unsafe {
            if self.held > 0 {
                self.write();
            }
            self.slots.drain(..).for_each(|slot| pg_sys::ExecDropSingleTupleTableSlot(slot));
            pg_sys::FreeBulkInsertState(self.state);
            pg_sys::table_finish_bulk_insert(self.table, 0);
        }
    }
}

/// What the query returns is what the table holds.
#[pg_guard]
unsafe extern "C-unwind" fn begin(
    receiver: *mut pg_sys::DestReceiver,
    _operation: std::ffi::c_int,
    returned: pg_sys::TupleDesc,
) {
    // SAFETY: the server hands back what it was given, and a descriptor.
    unsafe {
        let receiver = &mut *receiver.cast::<Receiver>();
        let held = PgTupleDesc::from_pg_unchecked((*receiver.table).rd_att);
        let returned = PgTupleDesc::from_pg_unchecked(returned);
        let is_same = held.len() == returned.len()
            && held.iter().zip(returned.iter()).all(|(held, returned)| {
                held.atttypid == returned.atttypid && (held.atttypmod == -1 || held.atttypmod == returned.atttypmod)
            });
        if !is_same {
            raise(
                &Error::new(Kind::WrongState, "the columns of the table that is written have been changed")
                    .with_hint("The same call goes on with the table as it is now."),
            );
        }
        // Not to be had any more where workers help the query.
        pg_sys::GetCurrentTransactionId();
        receiver.command = pg_sys::GetCurrentCommandId(true);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn receive(slot: *mut pg_sys::TupleTableSlot, receiver: *mut pg_sys::DestReceiver) -> bool {
    // SAFETY: as above; fewer rows are held than there are slots.
    unsafe {
        let receiver = &mut *receiver.cast::<Receiver>();
        pg_sys::ExecCopySlot(receiver.slots[receiver.held], slot);
        receiver.held += 1;
        if receiver.held == ROWS {
            receiver.write();
        }
    }
    true
}

#[pg_guard]
unsafe extern "C-unwind" fn nothing(_receiver: *mut pg_sys::DestReceiver) {}
