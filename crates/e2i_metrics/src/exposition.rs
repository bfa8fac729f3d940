//! The text that Prometheus reads, in its text format 0.0.4.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

use crate::board::Row;
use crate::health::Status;
use crate::key::Function;
use crate::latency::BOUNDS;
use crate::tally::{KINDS, kind_name};

/// The text for what a database has served, and for its services' health (name and status each). Times are in seconds; the
/// histogram counts the calls that were timed, and has its `buckets` only if asked: they are nine tenths of the samples.
///
/// # Errors
/// What the encoder reports, which for these families is nothing.
pub fn text(
    rows: &[Row],
    services: &[(String, String)],
    lost: (u64, u64),
    records_dropped: u64,
    buckets: bool,
) -> Result<String, String> {
    let rows = &merged(rows);
    let served = || rows.iter().filter(|row| !row.key.is(Function::Load));
    let loaded = || rows.iter().filter(|row| row.key.is(Function::Load));
    let mut families = vec![
        family(
            "e2i_model_requests_total",
            "Uses of a model by a statement.",
            MetricType::COUNTER,
            served().map(|row| counter(labels(row), row.total.requests)),
        ),
        family(
            "e2i_model_predictions_total",
            "Rows scored.",
            MetricType::COUNTER,
            served().map(|row| counter(labels(row), row.total.predictions)),
        ),
        family(
            "e2i_model_request_latency_seconds",
            "Time of a call, of those that were timed.",
            MetricType::HISTOGRAM,
            served().map(|row| histogram(row, buckets)),
        ),
        family(
            "e2i_model_errors_total",
            "Calls that failed, by kind.",
            MetricType::COUNTER,
            served().flat_map(|row| {
                (0..KINDS).filter(|kind| row.total.errors[*kind] > 0).filter_map(|kind| {
                    let mut labels = labels(row);
                    labels.push(label("kind", kind_name(kind)?));
                    Some(counter(labels, row.total.errors[kind]))
                })
            }),
        ),
        family(
            "e2i_model_health_status",
            "Health of a service: 1 healthy, 0.5 degraded, 0 unhealthy.",
            MetricType::GAUGE,
            services.iter().filter_map(|(service, status)| {
                Some(gauge(vec![label("service", service)], Status::named(status).number()?))
            }),
        ),
        family(
            "e2i_model_loads_total",
            "Models loaded into a session.",
            MetricType::COUNTER,
            loaded().map(|row| counter(labels(row), row.total.loads)),
        ),
        family(
            "e2i_model_load_seconds",
            "Time to load the model, the mean.",
            MetricType::GAUGE,
            loaded()
                .filter(|row| row.total.loads > 0)
                .map(|row| gauge(labels(row), row.total.load_ns as f64 / 1e9 / row.total.loads as f64)),
        ),
        family(
            "e2i_model_memory_bytes",
            "Memory that all sessions' copies of the model take now.",
            MetricType::GAUGE,
            loaded().map(|row| gauge(labels(row), row.loaded.bytes.max(0) as f64)),
        ),
        family(
            "e2i_requests_not_counted_total",
            "Requests that found no room among the counters.",
            MetricType::COUNTER,
            std::iter::once(counter(vec![], lost.0)),
        ),
        family(
            "e2i_inference_log_dropped_total",
            "Rows that found no room on their way to the inference log.",
            MetricType::COUNTER,
            std::iter::once(counter(vec![], records_dropped)),
        ),
    ];
    // A family without a metric is not valid.
    families.retain(|family| !family.get_metric().is_empty());
    let mut text = vec![];
    TextEncoder::new().encode(&families, &mut text).map_err(|error| error.to_string())?;
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// The rows, those with the same labels put together: a version that was dropped and one that was registered under its name
/// since are two rows of the board, and no sample may come twice.
fn merged(rows: &[Row]) -> Vec<Row> {
    let mut merged: Vec<Row> = vec![];
    let mut places = HashMap::new();
    for row in rows {
        let key = &row.key;
        let labels = (key.service.as_str(), key.reference.as_str(), key.engine(), key.function());
        match places.entry(labels) {
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(row.clone());
            }
            Entry::Occupied(place) => {
                let same = &mut merged[*place.get()];
                same.total.add(&row.total);
                same.loaded.sessions += row.loaded.sessions;
                same.loaded.bytes += row.loaded.bytes;
            }
        }
    }
    merged
}

fn family(name: &str, help: &str, kind: MetricType, metrics: impl Iterator<Item = Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics.collect());
    family
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn labels(row: &Row) -> Vec<LabelPair> {
    let key = &row.key;
    let (model, version) = key.reference.as_str().split_once(':').unwrap_or((key.reference.as_str(), ""));
    let mut labels = vec![label("model", model), label("version", version), label("engine", key.engine())];
    if !key.is(Function::Load) {
        labels.push(label("service", key.service.as_str()));
        labels.push(label("function", key.function()));
    }
    labels
}

fn metric(labels: Vec<LabelPair>) -> Metric {
    let mut metric = Metric::default();
    metric.set_label(labels);
    metric
}

fn counter(labels: Vec<LabelPair>, value: u64) -> Metric {
    let (mut metric, mut counter) = (metric(labels), Counter::default());
    counter.set_value(value as f64);
    metric.set_counter(counter);
    metric
}

fn gauge(labels: Vec<LabelPair>, value: f64) -> Metric {
    let (mut metric, mut gauge) = (metric(labels), Gauge::default());
    gauge.set_value(value);
    metric.set_gauge(gauge);
    metric
}

/// Without its buckets a histogram is its sum and count, and the bucket that holds all, which the encoder adds.
fn histogram(row: &Row, with_buckets: bool) -> Metric {
    let (mut metric, mut histogram, mut so_far) = (metric(labels(row)), Histogram::default(), 0);
    let buckets = BOUNDS.iter().zip(&row.total.latency).map(|(bound, count)| {
        so_far += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound as f64 / 1e9);
        bucket.set_cumulative_count(so_far);
        bucket
    });
    histogram.set_bucket(if with_buckets { buckets.collect() } else { vec![] });
    histogram.set_sample_count(row.total.timed);
    histogram.set_sample_sum(row.total.timed_ns as f64 / 1e9);
    metric.set_histogram(histogram);
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Board, Key, Loaded, Scorer, Tally};
    use std::sync::atomic::AtomicU64;

    #[test]
    fn every_family_is_there_and_strange_names_are_escaped() {
        let memory: Vec<_> = (0..Board::words(4)).map(|_| AtomicU64::new(0)).collect();
        let board = Board::new(&memory);
        let mut tally = Tally { requests: 2, ..Tally::default() };
        tally.batch(1, 3);
        tally.time(3_000_000);
        tally.time(9_000_000_000);
        tally.error(e2i_core::Kind::BadValue);
        let odd = "a \"quoted\\name\"\nof two lines";
        let key = Key::new(1, Function::Predict, Scorer::Native, [1; 16], odd, "churn:1");
        let load = Key::new(1, Function::Load, Scorer::Native, [1; 16], "", "churn:1");
        let place = board.claim(&key, 0).expect("a place");
        assert!(board.add(place, &tally, Loaded::default()));
        let place = board.claim(&load, 0).expect("a place");
        let loads = Tally { loads: 2, load_ns: 4_000_000, ..Tally::default() };
        assert!(board.add(place, &loads, Loaded { sessions: 1, bytes: 2048 }));
        let rows: Vec<Row> = board.rows(1).collect();
        let text =
            text(&rows, &[("churn".into(), "degraded".into()), ("new".into(), "unknown".into())], (4, 4), 7, true);
        let text = text.expect("the text");
        let few = super::text(&rows, &[], (4, 4), 7, false).expect("the text");
        let latency = |text: &str| {
            text.lines()
                .filter(|line| line.starts_with("e2i_model_request_latency"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let all = latency(&text);
        assert_eq!(latency(&few), all[all.len() - 3..], "the bucket of all, sum and count");
        let lines = |start: &str| text.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
        let same = r#"model="churn",version="1",engine="native",service="a \"quoted\\name\"\nof two lines",function="e2i_predict""#;
        assert_eq!(lines("e2i_model_requests_total"), [format!("e2i_model_requests_total{{{same}}} 2")]);
        assert_eq!(lines("e2i_model_predictions_total"), [format!("e2i_model_predictions_total{{{same}}} 3")]);
        assert_eq!(lines("e2i_model_errors_total"), [format!("e2i_model_errors_total{{{same},kind=\"bad_value\"}} 1")]);
        assert_eq!(lines("e2i_model_health_status"), ["e2i_model_health_status{service=\"churn\"} 0.5"]);
        assert_eq!(lines("e2i_model_load_seconds").len(), 1);
        assert!(lines("e2i_model_load_seconds")[0].ends_with(" 0.002"));
        assert!(lines("e2i_model_memory_bytes")[0].ends_with(" 2048"));
        assert_eq!(lines("e2i_requests_not_counted_total"), ["e2i_requests_not_counted_total 4"]);
        assert_eq!(lines("e2i_inference_log_dropped_total"), ["e2i_inference_log_dropped_total 7"]);
        let buckets = lines("e2i_model_request_latency_seconds_bucket");
        assert_eq!(buckets.len(), BOUNDS.len() + 1);
        assert!(buckets.iter().any(|line| line.contains("le=\"0.005\"") && line.ends_with(" 1")));
        assert!(buckets.last().is_some_and(|line| line.contains("le=\"+Inf\"") && line.ends_with(" 2")));
        // Format 0.0.4: each sample stands under the HELP and TYPE of its family, and none comes twice.
        assert_eq!(lines("# HELP").len(), lines("# TYPE").len());
        let samples: std::collections::HashSet<_> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(samples.len(), text.lines().filter(|line| !line.starts_with('#')).count());
    }

    #[test]
    fn a_version_that_was_registered_again_is_one_sample() {
        let memory: Vec<_> = (0..Board::words(4)).map(|_| AtomicU64::new(0)).collect();
        let board = Board::new(&memory);
        for identity in [[1; 16], [2; 16]] {
            let key = Key::new(1, Function::Predict, Scorer::Native, identity, "churn", "churn:1");
            let place = board.claim(&key, 0).expect("a place");
            assert!(board.add(place, &Tally { requests: 2, ..Tally::default() }, Loaded::default()));
            let key = Key::new(1, Function::Load, Scorer::Native, identity, "", "churn:1");
            let place = board.claim(&key, 0).expect("a place");
            let loads = Tally { loads: 1, load_ns: 1_000, ..Tally::default() };
            assert!(board.add(place, &loads, Loaded { sessions: 1, bytes: 8 }));
        }
        let text = text(&board.rows(1).collect::<Vec<_>>(), &[], (0, 0), 0, false).expect("the text");
        let values = |start: &str| {
            let lines = text.lines().filter(|line| line.starts_with(start));
            lines.filter_map(|line| line.rsplit_once(' ')).map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!(values("e2i_model_requests_total"), ["4"]);
        assert_eq!(values("e2i_model_loads_total"), ["2"]);
        assert_eq!(values("e2i_model_memory_bytes"), ["16"]);
    }
}
