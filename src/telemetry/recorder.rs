//! Where do numbers go, and how are they read?

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::MetricKindMask;

use super::names::{DECLARED, Declared, Kind, Metric};
use super::{own_process, process};

/// Counters and histograms that nothing was recorded into for so long are dropped, so that tools
/// that no longer exist do not stay until the process ends.
///
/// Gauges are kept: one that is seldom set is still true.
pub(super) const IDLE: Duration = Duration::from_hours(24);

/// Bounds of histogram buckets, in seconds: from a hop on one machine to the longest call.
const BUCKETS: [f64; 18] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0,
    600.0,
];

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

static RECORDER: LazyLock<PrometheusRecorder> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .unwrap_or_default() // refused only when there are no buckets
        .idle_timeout(MetricKindMask::COUNTER | MetricKindMask::HISTOGRAM, Some(IDLE));
    let recorder = builder.build_recorder();
    for metric in DECLARED {
        describe(&recorder, metric);
    }
    recorder
});

/// Every metric of this process, to be read.
#[derive(Debug, Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

/// Begins to record, and marks the start of the process; later calls give the same metrics again.
pub fn install() -> Metrics {
    static START: LazyLock<()> = LazyLock::new(process::started);
    LazyLock::force(&START);
    Metrics { handle: RECORDER.handle() }
}

impl Metrics {
    /// All metrics in the text format of Prometheus, `text/plain; version=0.0.4`.
    pub fn render(&self) -> String {
        process::keep();
        own_process::show();
        self.handle.render()
    }

    /// Sorts recorded durations into their buckets. To be called every few seconds: until then
    /// each duration takes up memory of its own.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

pub(super) fn counter<const N: usize>(metric: &Metric<N>, values: [&str; N]) -> Counter {
    RECORDER.register_counter(&key(metric, values), &METADATA)
}

pub(super) fn gauge<const N: usize>(metric: &Metric<N>, values: [&str; N]) -> Gauge {
    RECORDER.register_gauge(&key(metric, values), &METADATA)
}

pub(super) fn histogram<const N: usize>(metric: &Metric<N>, values: [&str; N]) -> Histogram {
    RECORDER.register_histogram(&key(metric, values), &METADATA)
}

fn key<const N: usize>(metric: &Metric<N>, values: [&str; N]) -> Key {
    let labels = metric.labels.into_iter().zip(values);
    let labels: Vec<Label> = labels.map(|(name, value)| Label::new(name, value.to_owned())).collect();
    Key::from_parts(metric.name, labels)
}

fn describe(recorder: &PrometheusRecorder, metric: &Declared) {
    let (name, unit, help) = (metric.name.into(), Some(metric.unit), metric.help.into());
    match metric.kind {
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Histogram => recorder.describe_histogram(name, unit, help),
    }
}
