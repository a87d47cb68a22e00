//! Asking work to stop.

use std::sync::Arc;

use tokio::sync::watch;

/// Shared by whoever may cancel and whoever must notice. Cloning gives another handle to the same thing.
#[derive(Clone, Debug)]
pub struct Cancel {
    flag: Arc<watch::Sender<bool>>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self {
            flag: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl Cancel {
    /// A handle that nobody has cancelled yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ask all holders to stop. Cannot be taken back.
    pub fn cancel(&self) {
        self.flag.send_replace(true);
    }

    /// Whether somebody has asked.
    pub fn is_cancelled(&self) -> bool {
        *self.flag.borrow()
    }

    /// Return when somebody asks.
    pub async fn cancelled(&self) {
        let mut seen = self.flag.subscribe();
        // The sender lives as long as `self`, so waiting ends with a change only.
        let _ = seen.wait_for(|cancelled| *cancelled).await;
    }
}
