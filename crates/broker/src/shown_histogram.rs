//! Histograms that were counted elsewhere, as metrics.

use std::fmt::{Debug, Error};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use skep_histogram::Seen;

/// One metric, by its labels. Clones are the same.
#[derive(Debug)]
pub(crate) struct ShownHistogram<L> {
    name: &'static str,
    help: &'static str,
    seen: Arc<Mutex<Vec<(L, Seen)>>>,
}

impl<L: EncodeLabelSet + Debug + Send + Sync + 'static> ShownHistogram<L> {
    /// Registers it; there is nothing to show yet.
    pub fn register(
        registry: &mut Registry,
        name: &'static str,
        help: &'static str,
    ) -> ShownHistogram<L> {
        let seen = Arc::default();
        let shown = ShownHistogram {
            name,
            help,
            seen: Arc::clone(&seen),
        };
        registry.register_collector(Box::new(shown));
        ShownHistogram { name, help, seen }
    }

    /// Shows this from now on, and nothing else.
    pub fn set(&self, seen: Vec<(L, Seen)>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

impl<L: EncodeLabelSet + Debug + Send + Sync + 'static> Collector for ShownHistogram<L> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, help) = (self.name, self.help);
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, seen) in all.iter() {
            let mut metric = family.encode_family(labels)?;
            metric.encode_histogram::<NoLabelSet>(seen.seconds, seen.count, &seen.buckets, None)?;
        }
        Ok(())
    }
}
