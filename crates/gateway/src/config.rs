//! What an operator may choose.

use std::sync::Arc;
use std::time::Duration;

use skep_auth::Authenticator;

use crate::call_stats::CallStats;

/// Configuration of the gateway.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// How long a broker may take to answer.
    pub request_timeout: Duration,
    /// Largest message taken in or sent, in bytes.
    pub max_message_size: usize,
    /// Waiting for jobs.
    pub long_polling: LongPollingConfig,
    /// Who is let in; everybody where there is none.
    pub authenticator: Option<Arc<Authenticator>>,
    /// Where calls are counted.
    pub calls: Arc<CallStats>,
}

/// Configuration of the waiting for jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongPollingConfig {
    /// Whether a request without jobs waits at all.
    pub enabled: bool,
    /// How long a request waits that does not say how long.
    pub timeout: Duration,
    /// After how long without any news of a type one waiting request of it tries again.
    pub probe_timeout: Duration,
    /// How many passes without jobs a type may have until the next news, before its waiting requests stop trying.
    pub min_empty_responses: u32,
}

impl Default for GatewayConfig {
    fn default() -> GatewayConfig {
        GatewayConfig {
            request_timeout: Duration::from_secs(15),
            max_message_size: 4 << 20,
            long_polling: LongPollingConfig::default(),
            authenticator: None,
            calls: Arc::default(),
        }
    }
}

impl Default for LongPollingConfig {
    fn default() -> LongPollingConfig {
        LongPollingConfig {
            enabled: true,
            timeout: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(10),
            min_empty_responses: 3,
        }
    }
}
