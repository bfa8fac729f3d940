//! Which grant a role is missing: what `e2i_grant_usage` would give it stands in the hint of the server's own error.

use std::ffi::{CStr, CString, c_char};

use once_cell::sync::OnceCell;
use pgrx::{pg_guard, pg_sys};

/// What an admin may do beyond a deployer; `sql/rights.sql` grants it.
const ADMINISTERING: [&str; 8] = [
    "e2i_drop_model",
    "e2i_archive_expired",
    "e2i_serving_stats_reset",
    "e2i_flush_metrics",
    "e2i_set_inference_log",
    "e2i_export_model",
    "ml_inference_log",
    "ml_scoring_job_errors",
];

/// What a deployer may do.
const DEPLOYING: [&str; 34] = [
    "e2i_register_model",
    "e2i_annotate_model",
    "e2i_deploy",
    "e2i_undeploy",
    "e2i_rollback",
    "e2i_set_alias",
    "e2i_drop_alias",
    "e2i_transition_stage",
    "e2i_set_traffic",
    "e2i_set_shadow",
    "e2i_serving_counters",
    "e2i_prometheus_metrics",
    "e2i_health",
    "e2i_shadow_report",
    "e2i_schedule_scoring",
    "e2i_set_background",
    "e2i_calibrate",
    "e2i_check_coverage",
    "ml_model_aliases",
    "ml_bentoml_services",
    "ml_stage_policies",
    "ml_model_events",
    "ml_bentoml_serving_metrics",
    "ml_health_limits",
    "ml_inference_log_policies",
    "e2i_models",
    "e2i_services",
    "e2i_serving_stats",
    "ml_scoring_jobs",
    "ml_scoring_schedules",
    "ml_calibrations",
    "e2i_importance_drift",
    "ml_shap_analyses",
    "ml_reason_texts",
];

static PREVIOUS: OnceCell<pg_sys::emit_log_hook_type> = OnceCell::new();

/// What an admin may also write.
const EDITED: [&str; 3] = ["ml_stage_policies", "ml_health_limits", "ml_reason_texts"];

/// The set of rights that a thing of the extension is in.
fn kind_of(name: &str) -> Option<&'static str> {
    if name == "ml_model_registry" {
        return Some("scorer");
    }
    if DEPLOYING.contains(&name) {
        return Some("deployer");
    }
    ADMINISTERING.contains(&name).then_some("admin")
}

/// The set of rights that a role is missing who was denied this; none where no set holds what it wanted.
fn missing(role: pg_sys::Oid, name: &str) -> Option<&'static str> {
    let kind = kind_of(name)?;
    let name_in_c = CString::new(name).ok()?;
    // Who may read a table was denied writing.
    // SAFETY: catalog look-ups; no table is in the search path where it was written with its schema.
    let is_read = unsafe {
        let table = pg_sys::RelnameGetRelid(name_in_c.as_ptr());
        table != pg_sys::Oid::INVALID
            && pg_sys::pg_class_aclcheck(table, role, pg_sys::AclMode::from(pg_sys::ACL_SELECT))
                == pg_sys::AclResult::ACLCHECK_OK
    };
    if is_read { EDITED.contains(&name).then_some("admin") } else { Some(kind) }
}

/// The statement that gives a role a set of rights.
pub fn hint(role: pg_sys::Oid, kind: &str) -> String {
    // SAFETY: the name is null or a palloc'd C string, and so is what is made of it.
    let name = unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            return String::new();
        }
        CStr::from_ptr(pg_sys::quote_identifier(name)).to_string_lossy().replace('\'', "''")
    };
    format!("SELECT e2i_grant_usage('{name}', '{kind}');")
}

/// Completes what the server says of a function or table of ours; called once, when the library is loaded.
pub fn listen() {
    // SAFETY: nothing else runs while a library is loaded; the function is never unloaded.
    unsafe {
        let _ = PREVIOUS.set(pg_sys::emit_log_hook);
        pg_sys::emit_log_hook = Some(before_emitting);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn before_emitting(error: *mut pg_sys::ErrorData) {
    // SAFETY: the server's own data, complete and about to be sent; catalogs can be read, as the error was raised by a look into
    // them and its transaction was not ended yet.
    unsafe {
        complete(error);
        if let Some(previous) = PREVIOUS.get().copied().flatten() {
            #[allow(ffi_unwind_calls)]
            pg_sys::ffi::pg_guard_ffi_boundary(|| previous(error));
        }
    }
}

unsafe fn complete(error: *mut pg_sys::ErrorData) {
    // SAFETY: as the caller promises: texts are null or C strings.
    unsafe {
        let denied = pgrx::PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE as i32;
        if (*error).sqlerrcode != denied || !(*error).hint.is_null() || !pg_sys::IsTransactionState() {
            return;
        }
        // In whatever language, and also where the error has come through a hook, which leaves no form of the message.
        if text((*error).funcname) != Some("aclcheck_error") {
            return;
        }
        let (Some(message), role) = (text((*error).message), pg_sys::GetUserId()) else { return };
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let Some(kind) = message.split(|c| !word(c)).find_map(|name| missing(role, name)) else { return };
        if let Ok(hint) = CString::new(hint(role, kind)) {
            (*error).hint = pg_sys::MemoryContextStrdup((*error).assoc_context, hint.as_ptr());
        }
    }
}

unsafe fn text<'t>(text: *const c_char) -> Option<&'t str> {
    // SAFETY: null, or a C string that outlives the error.
    if text.is_null() { None } else { unsafe { CStr::from_ptr(text) }.to_str().ok() }
}
