//! The one rule for the health of a service.

use crate::tally::Tally;

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing is known.
    Unknown,
    /// Within all limits.
    Healthy,
    /// At or beyond a first limit.
    Degraded,
    /// Beyond a second limit, or it cannot score.
    Unhealthy,
}

impl Status {
    /// How tables call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The status that tables call so; what they call otherwise is unknown.
    #[must_use]
    pub fn named(name: &str) -> Self {
        [Self::Healthy, Self::Degraded, Self::Unhealthy]
            .into_iter()
            .find(|it| it.as_str() == name)
            .unwrap_or(Self::Unknown)
    }

    /// How Prometheus reads it: 1 healthy, 0.5 degraded, 0 unhealthy; `None` for unknown.
    #[must_use]
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Healthy => Some(1.0),
            Self::Degraded => Some(0.5),
            Self::Unhealthy => Some(0.0),
            Self::Unknown => None,
        }
    }
}

/// From `degraded` on a service is degraded, above `unhealthy` it is unhealthy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// First value that is not healthy.
    pub degraded: f64,
    /// Last value that is not unhealthy.
    pub unhealthy: f64,
}

impl Limit {
    fn judge(self, value: f64) -> Status {
        match value {
            _ if value > self.unhealthy => Status::Unhealthy,
            _ if value >= self.degraded => Status::Degraded,
            _ => Status::Healthy,
        }
    }
}

/// The limits that the table of them holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Of the share of requests that failed.
    pub error_rate: Limit,
    /// Of the time that 95 of 100 calls do not exceed, in milliseconds.
    pub latency_ms: Limit,
}

/// A status and what led to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// How the service is.
    pub status: Status,
    /// Why, if it is not healthy.
    pub reason: Option<String>,
}

/// The health that follows from what was counted in an interval.
#[must_use]
pub fn judge(tally: &Tally, limits: &Limits) -> Verdict {
    let Some(error_rate) = tally.error_rate() else {
        return Verdict { status: Status::Unknown, reason: Some("nobody called".to_owned()) };
    };
    let latency = tally.quantile_ns(0.95).map(|ns| ns / 1e6);
    let (errors, slow) =
        (limits.error_rate.judge(error_rate), latency.map_or(Status::Healthy, |ms| limits.latency_ms.judge(ms)));
    let mut reasons = vec![];
    if errors != Status::Healthy {
        reasons.push(format!("{:.1} % of requests failed", error_rate * 100.0));
    }
    if let (Some(latency), true) = (latency, slow != Status::Healthy) {
        reasons.push(format!("95 % of calls took up to {latency:.0} ms"));
    }
    let worst = |one: Status, other: Status| if one as u8 > other as u8 { one } else { other };
    Verdict { status: worst(errors, slow), reason: (!reasons.is_empty()).then(|| reasons.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use e2i_core::Kind;

    const LIMITS: Limits = Limits {
        error_rate: Limit { degraded: 0.05, unhealthy: 0.10 },
        latency_ms: Limit { degraded: 500.0, unhealthy: 2000.0 },
    };

    fn served(requests: u64, errors: u64, milliseconds: u64) -> Tally {
        let mut tally = Tally { requests, ..Tally::default() };
        (0..errors).for_each(|_| tally.error(Kind::BadValue));
        (0..requests).for_each(|_| tally.time(milliseconds * 1_000_000));
        tally
    }

    #[test]
    fn limits_are_where_they_say() {
        let status = |requests, errors, ms| judge(&served(requests, errors, ms), &LIMITS).status;
        assert_eq!(status(0, 0, 0), Status::Unknown);
        assert_eq!(status(100, 4, 1), Status::Healthy);
        assert_eq!(status(100, 5, 1), Status::Degraded);
        assert_eq!(status(100, 10, 1), Status::Degraded);
        assert_eq!(status(100, 11, 1), Status::Unhealthy);
        assert_eq!(status(100, 0, 4_000), Status::Unhealthy);
        assert_eq!(status(100, 0, 1_000), Status::Degraded);
        assert_eq!(status(100, 0, 100), Status::Healthy);
        assert_eq!(status(100, 6, 3_000), Status::Unhealthy, "the worse of both");
    }

    #[test]
    fn the_reason_names_what_is_wrong() {
        let reason = judge(&served(100, 20, 3_000), &LIMITS).reason.unwrap_or_default();
        assert!(reason.contains("20.0 % of requests failed") && reason.contains("ms"), "{reason}");
        assert_eq!(judge(&served(10, 0, 1), &LIMITS).reason, None);
    }

    #[test]
    fn every_status_but_unknown_has_a_number() {
        for status in [Status::Healthy, Status::Degraded, Status::Unhealthy] {
            assert!(status.number().is_some());
            assert_eq!(Status::named(status.as_str()), status);
        }
        assert_eq!(Status::named("anything").number(), None);
    }
}
