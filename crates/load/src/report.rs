//! What was measured, as a table for people or as JSON for programs.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies, in microseconds, to three digits, up to a minute.
pub type Latencies = Histogram<u64>;

/// An empty histogram.
pub fn latencies() -> Latencies {
    Histogram::new_with_max(60_000_000, 3).expect("the bounds are in order")
}

/// Lines of names and figures.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<(String, f64, &'static str)>,
}

impl Report {
    /// Adds a figure and shows it, since the next may take minutes.
    pub fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        let name = name.into();
        eprintln!("  {name}: {} {unit}", shown(value));
        self.lines.push((name, value, unit));
    }

    /// Adds a time.
    pub fn add_time(&mut self, name: impl Into<String>, time: Duration) {
        self.add(name, time.as_secs_f64() * 1e3, "ms");
    }

    /// Adds the quantiles of latencies.
    pub fn add_latencies(&mut self, name: &str, latencies: &Latencies) {
        for (quantile, label) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
            let micros = latencies.value_at_quantile(quantile);
            self.add(format!("{name}, {label}"), micros as f64 / 1e3, "ms");
        }
        self.add(
            format!("{name}, longest"),
            latencies.max() as f64 / 1e3,
            "ms",
        );
    }

    /// As a table in Markdown.
    pub fn table(&self) -> String {
        let mut text = "| what | figure |\n|---|---|\n".to_owned();
        for (name, value, unit) in &self.lines {
            text.push_str(&format!("| {name} | {} {unit} |\n", shown(*value)));
        }
        text
    }

    /// As one JSON object: name to value and unit.
    pub fn json(&self) -> String {
        let lines = self.lines.iter().map(|(name, value, unit)| {
            let figure = serde_json::json!({ "value": value, "unit": unit });
            (name.clone(), figure)
        });
        format!("{}\n", serde_json::Value::Object(lines.collect()))
    }
}

/// Three digits are more than a measurement on a shared machine deserves.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_figure() {
        let mut report = Report::default();
        report.add("rate", 5123.4, "1/s");
        report.add("time", 2.5179, "ms");
        assert_eq!(
            report.table(),
            "| what | figure |\n|---|---|\n| rate | 5123 1/s |\n| time | 2.52 ms |\n"
        );
        assert_eq!(
            report.json(),
            "{\"rate\":{\"value\":5123.4,\"unit\":\"1/s\"},\"time\":{\"value\":2.5179,\"unit\":\"ms\"}}\n"
        );
    }
}
