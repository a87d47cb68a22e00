//! The certificates in use on this node: read again when their files have changed, and shown in metrics.

use std::fmt::{Debug, Error, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use skep_config::TlsConfig;
use skep_tls::{Identity, TlsError, Watched};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::error;

use crate::servers::until;

/// How often the files are looked at: seldom enough to cost nothing, often enough for whoever has just replaced them.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// All of this node's.
#[derive(Default)]
pub struct Certificates(Mutex<Vec<Arc<Watched>>>);

impl Debug for Certificates {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result<(), Error> {
        let names: Vec<_> = self.all().iter().map(|one| one.what).collect();
        f.debug_tuple("Certificates").field(&names).finish()
    }
}

impl Certificates {
    /// None yet. Shows them in these metrics.
    pub fn register(registry: &mut Registry) -> Arc<Certificates> {
        let certificates = Arc::new(Certificates::default());
        registry.register_collector(Box::new(Shown(Arc::clone(&certificates))));
        certificates
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Watched>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens what uses a certificate, and keeps it current from now on; blocking.
    pub fn open<T: Clone + Send + Sync + 'static>(
        &self,
        what: &'static str,
        tls: &TlsConfig,
        open: impl FnOnce(&Identity) -> Result<T, TlsError>,
        renew: impl Fn(&T) -> Result<(), TlsError> + Send + Sync + 'static,
    ) -> Result<T, TlsError> {
        let identity = Identity {
            certificate_chain: tls.certificate_chain.clone(),
            private_key: tls.private_key.clone(),
            client_authorities: tls.client_authorities.clone(),
        };
        let (opened, watched) = Watched::open(what, identity, open, renew)?;
        self.all().push(Arc::new(watched));
        Ok(opened)
    }

    /// Looks at the files from time to time until the node stops.
    pub async fn watch(self: Arc<Certificates>, stopped: watch::Receiver<bool>) {
        let stopped = until(stopped);
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = &mut stopped => return,
                () = sleep(LOOK_INTERVAL) => {}
            }
            let all = self.all().clone();
            let looked = tokio::task::spawn_blocking(move || all.iter().for_each(|one| one.look()));
            if let Err(error) = looked.await {
                error!(%error, "looking at the files of certificates ended badly");
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Server {
    server: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Renewal {
    server: &'static str,
    result: &'static str,
}

#[derive(Debug)]
struct Shown(Arc<Certificates>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let all = self.0.all().clone();
        let mut expirations = encoder.encode_descriptor(
            "skep_certificate_expiration_timestamp_seconds",
            "When the certificate in use ceases to be valid, in seconds since 1970",
            None,
            MetricType::Gauge,
        )?;
        for one in &all {
            let label = Server { server: one.what };
            let mut metric = expirations.encode_family(&label)?;
            metric.encode_gauge(&one.expires_at())?;
        }
        let mut renewals = encoder.encode_descriptor(
            "skep_certificate_renewals",
            "New certificates by what has become of them",
            None,
            MetricType::Counter,
        )?;
        for one in &all {
            let (renewed, refused) = one.changes();
            for (result, count) in [("renewed", renewed), ("refused", refused)] {
                let server = one.what;
                let label = Renewal { server, result };
                let mut metric = renewals.encode_family(&label)?;
                metric.encode_counter::<NoLabelSet, u64, f64>(&count, None)?;
            }
        }
        Ok(())
    }
}
