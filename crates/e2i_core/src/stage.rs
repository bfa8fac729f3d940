//! Stages of a version and the gates between them.
//!
//! A stage is a label with conditions, not a pointer: what serves is decided by deployments. The conditions are rows of a
//! table that an administrator edits; this module only says whether a version passes them, and if not, which one, its limit
//! and what was found.

use std::fmt;

use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// Where a version is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Just registered.
    Development,
    /// Under test.
    Staging,
    /// Scored beside what serves.
    Shadow,
    /// Allowed to serve.
    Production,
    /// No longer used.
    Archived,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 5] = [Self::Development, Self::Staging, Self::Shadow, Self::Production, Self::Archived];

    /// The name used in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Shadow => "shadow",
            Self::Production => "production",
            Self::Archived => "archived",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`Kind::BadOption`] with the stages there are.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|stage| stage.name()).collect();
            Error::new(Kind::BadOption, format!("unknown stage {name:?}"))
                .with_hint(format!("One of {}.", known.join(", ")))
        })
    }

    /// Whether a transition is one step forward, or back to any earlier stage. Archiving is possible from everywhere.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        next < self || next == Self::Archived || next as usize == self as usize + 1
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One condition for entering a stage.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// A metric within limits.
    Metric {
        /// Its name in the version's metrics.
        name: String,
        /// Least value, if any.
        at_least: Option<f64>,
        /// Greatest value, if any.
        at_most: Option<f64>,
    },
    /// So many days in the stage before.
    DaysInStage(f64),
    /// So many days since the version left production, if it ever was there.
    DaysOutOfProduction(f64),
    /// A named approver.
    Approver,
}

/// What is known of a version that wants to enter a stage.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Metrics of training, a JSON object.
    pub metrics: &'a Value,
    /// Days in the stage that it is in.
    pub days_in_stage: f64,
    /// Days since it left production; `None` if it never was there, 0 while it is.
    pub days_out_of_production: Option<f64>,
    /// Who approves.
    pub approver: Option<&'a str>,
}

impl Gate {
    /// Why a version does not pass: the gate, its limit, and the value found. `None` if it passes.
    #[must_use]
    pub fn refusal(&self, facts: Facts<'_>) -> Option<String> {
        match self {
            Self::Metric { name, at_least, at_most } => {
                let limit = match (at_least, at_most) {
                    (Some(least), Some(most)) => format!("{name} between {least} and {most}"),
                    (Some(least), None) => format!("{name} of at least {least}"),
                    (None, Some(most)) => format!("{name} of at most {most}"),
                    (None, None) => return None,
                };
                let Some(found) = facts.metrics.get(name).and_then(Value::as_f64) else {
                    return Some(format!("{limit} is needed, the version has no metric {name:?}"));
                };
                let passes = at_least.is_none_or(|least| found >= least) && at_most.is_none_or(|most| found <= most);
                (!passes).then(|| format!("{limit} is needed, found {found}"))
            }
            Self::DaysInStage(days) => (facts.days_in_stage < *days)
                .then(|| format!("{days} days in the stage before are needed, found {:.1}", facts.days_in_stage)),
            Self::DaysOutOfProduction(days) => facts
                .days_out_of_production
                .filter(|found| found < days)
                .map(|found| format!("{days} days out of production are needed, found {found:.1}")),
            Self::Approver => facts
                .approver
                .is_none_or(|approver| approver.trim().is_empty())
                .then(|| "a named approver is needed, none was given".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(metrics: &Value) -> Facts<'_> {
        Facts { metrics, days_in_stage: 3.0, days_out_of_production: None, approver: None }
    }

    #[test]
    fn stages_are_entered_one_by_one_and_left_freely() {
        use Stage::{Archived, Development, Production, Shadow, Staging};
        assert!(Development.may_become(Staging) && Staging.may_become(Shadow) && Shadow.may_become(Production));
        assert!(!Development.may_become(Shadow) && !Staging.may_become(Production));
        assert!(
            Production.may_become(Development) && Development.may_become(Archived) && Archived.may_become(Development)
        );
        assert!(!Staging.may_become(Staging));
        assert!(Stage::parse("prod").unwrap_err().hint().unwrap().contains("production"));
    }

    #[test]
    fn a_refusal_names_gate_limit_and_value() {
        let auc = Gate::Metric { name: "auc".into(), at_least: Some(0.7), at_most: None };
        assert_eq!(auc.refusal(facts(&json!({"auc": 0.7}))), None);
        assert_eq!(auc.refusal(facts(&json!({"auc": 0.65}))).unwrap(), "auc of at least 0.7 is needed, found 0.65");
        assert!(auc.refusal(facts(&json!({}))).unwrap().contains("no metric \"auc\""));
        assert!(auc.refusal(facts(&json!({"auc": "high"}))).is_some());
        let rmse = Gate::Metric { name: "rmse".into(), at_least: None, at_most: Some(10.0) };
        assert!(rmse.refusal(facts(&json!({"rmse": 12}))).unwrap().contains("at most 10"));
    }

    #[test]
    fn time_and_people() {
        let none = json!({});
        assert!(Gate::DaysInStage(7.0).refusal(facts(&none)).unwrap().contains("found 3.0"));
        assert_eq!(Gate::DaysInStage(3.0).refusal(facts(&none)), None);
        assert_eq!(Gate::DaysOutOfProduction(30.0).refusal(facts(&none)), None);
        let left = Facts { days_out_of_production: Some(2.0), ..facts(&none) };
        assert!(Gate::DaysOutOfProduction(30.0).refusal(left).is_some());
        assert!(Gate::Approver.refusal(facts(&none)).is_some());
        assert_eq!(Gate::Approver.refusal(Facts { approver: Some("Ada"), ..facts(&none) }), None);
    }
}
