//! Counts of requests for Prometheus. Labels are routes, never paths: paths hold ids.

use crate::wire::UtcTime;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the duration classes, in milliseconds.
const BOUNDS_MS: [u64; 9] = [1, 5, 10, 25, 50, 100, 300, 1_000, 10_000];

#[derive(Default)]
struct Series {
    classes: [u64; BOUNDS_MS.len()],
    count: u64,
    micros: u64,
}

/// The service's own figures.
#[derive(Default)]
pub(super) struct Metrics {
    requests: Mutex<BTreeMap<(String, String, u16), Series>>,
    reviews: Mutex<Option<(UtcTime, Arc<[ReviewFigures]>)>>,
}

/// Milliseconds for which the figures of the reviews stand: to count them, every review is read.
const REVIEWS_STAND_MS: i64 = 60_000;

/// The reviews of one project.
pub(super) struct ReviewFigures {
    pub(super) project: crate::wire::ProjectId,
    pub(super) open: u64,
    pub(super) oldest_seconds: u64,
}

impl Metrics {
    /// The figures of the reviews, counted anew by `count` when they are a minute old.
    pub(super) fn reviews<E>(
        &self,
        now: UtcTime,
        count: impl FnOnce() -> Result<Vec<ReviewFigures>, E>,
    ) -> Result<Arc<[ReviewFigures]>, E> {
        // Held while they are counted: two readers at once count once.
        let mut kept = self.reviews.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = |at: UtcTime| (0..REVIEWS_STAND_MS).contains(&(now.millis() - at.millis()));
        if let Some((_, figures)) = kept.as_ref().filter(|(at, _)| stands(*at)) {
            return Ok(Arc::clone(figures));
        }
        let figures: Arc<[ReviewFigures]> = count()?.into();
        *kept = Some((now, Arc::clone(&figures)));
        Ok(figures)
    }

    /// Counts an answered request. There are as many series as routes times answers: bounded.
    pub(super) fn count(&self, method: &str, route: &str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let series = requests.entry((method.to_owned(), route.to_owned(), status)).or_default();
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for (class, bound) in series.classes.iter_mut().zip(BOUNDS_MS) {
            *class += u64::from(micros <= bound * 1_000);
        }
        series.count += 1;
        series.micros = series.micros.saturating_add(micros);
    }

    /// The figures as Prometheus reads them.
    pub(super) fn text(&self, store_bytes: u64, runs: usize, reviews: &[ReviewFigures]) -> String {
        let mut text = String::new();
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a String cannot fail.
        let mut line = |line: std::fmt::Arguments<'_>| {
            let _ = writeln!(text, "{line}");
        };
        line(format_args!("# HELP blindlink_store_bytes Bytes of the store on disk."));
        line(format_args!("# TYPE blindlink_store_bytes gauge"));
        line(format_args!("blindlink_store_bytes {store_bytes}"));
        line(format_args!("# HELP blindlink_runs Runs that wait or compute."));
        line(format_args!("# TYPE blindlink_runs gauge"));
        line(format_args!("blindlink_runs {runs}"));
        line(format_args!("# HELP blindlink_reviews_open Uncertain pairs that wait for a word."));
        line(format_args!("# TYPE blindlink_reviews_open gauge"));
        for project in reviews {
            line(format_args!("blindlink_reviews_open{{project=\"{}\"}} {}", project.project, project.open));
        }
        line(format_args!("# HELP blindlink_reviews_oldest_seconds How long the oldest of them waits."));
        line(format_args!("# TYPE blindlink_reviews_oldest_seconds gauge"));
        for project in reviews {
            let (id, seconds) = (&project.project, project.oldest_seconds);
            line(format_args!("blindlink_reviews_oldest_seconds{{project=\"{id}\"}} {seconds}"));
        }
        line(format_args!("# HELP blindlink_request_seconds Time from a request to its answer."));
        line(format_args!("# TYPE blindlink_request_seconds histogram"));
        for ((method, route, status), series) in requests.iter() {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            for (count, bound) in series.classes.iter().zip(BOUNDS_MS) {
                let bound = format!("{}.{:03}", bound / 1_000, bound % 1_000);
                line(format_args!("blindlink_request_seconds_bucket{{{labels},le=\"{bound}\"}} {count}"));
            }
            let (count, micros) = (series.count, series.micros);
            line(format_args!("blindlink_request_seconds_bucket{{{labels},le=\"+Inf\"}} {count}"));
            let seconds = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            line(format_args!("blindlink_request_seconds_sum{{{labels}}} {seconds}"));
            line(format_args!("blindlink_request_seconds_count{{{labels}}} {count}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_cumulative() {
        let metrics = Metrics::default();
        metrics.count("GET", "/v1/projects/{project}", 200, Duration::from_millis(7));
        let text = metrics.text(3, 1, &[]);
        let series = "{method=\"GET\",route=\"/v1/projects/{project}\",status=\"200\"";
        assert!(text.contains(&format!("bucket{series},le=\"0.005\"}} 0\n")), "{text}");
        assert!(text.contains(&format!("bucket{series},le=\"0.010\"}} 1\n")));
        assert!(text.contains(&format!("sum{series}}} 0.007000\n")));
    }

    #[test]
    fn reviews_are_counted_once_a_minute_however_often_they_are_read() {
        let (metrics, counted) = (Metrics::default(), std::cell::Cell::new(0u64));
        let open_at = |ms: i64| {
            let count = || {
                counted.set(counted.get() + 1);
                let project = "p".parse().unwrap();
                Ok::<_, ()>(vec![ReviewFigures { project, open: counted.get(), oldest_seconds: 0 }])
            };
            metrics.reviews(UtcTime::from_millis(ms).unwrap(), count).unwrap()[0].open
        };
        assert_eq!([0, 15_000, 59_999].map(open_at), [1, 1, 1]);
        assert_eq!([60_000, 61_000, 5_000].map(open_at), [2, 2, 3], "a clock that falls back counts anew");
    }
}
