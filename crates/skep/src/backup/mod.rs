//! `skep backup`: over the management API of a broker, or straight on the store.

mod api;
mod progress;
mod report;
mod store;
mod wait;

use skep_backup::{BackupId, BackupState};

use crate::backup::api::Api;
use crate::backup::report::Report;
use crate::backup::store::Store;
use crate::cli::{BackupArguments, BackupCommand, BackupSource};
use crate::failure::{Code, Failure};

/// Where answers come from.
enum Backend {
    /// A broker.
    Api(Box<Api>),
    /// The store of the configuration.
    Store(Store),
}

impl Backend {
    fn open(source: &BackupSource) -> Result<Backend, Failure> {
        if source.store {
            Store::open(source.config.as_deref()).map(Backend::Store)
        } else {
            Api::new(&source.management, &source.tls).map(|api| Backend::Api(Box::new(api)))
        }
    }

    async fn list(&self) -> Result<Vec<Report>, Failure> {
        match self {
            Backend::Api(api) => api.list().await,
            Backend::Store(store) => store.list().await,
        }
    }

    async fn show(&self, id: BackupId) -> Result<Report, Failure> {
        let report = match self {
            Backend::Api(api) => api.show(id).await?,
            Backend::Store(store) => store.show(id).await?,
        };
        if report.state == BackupState::DoesNotExist.as_str() {
            return Err(Failure::new(
                Code::NotFound,
                format!("there is no backup {id}. 'skep backup list' shows what there is"),
            ));
        }
        Ok(report)
    }

    async fn delete(&self, id: BackupId) -> Result<(), Failure> {
        match self {
            Backend::Api(api) => api.delete(id).await,
            Backend::Store(store) => store.delete(id).await,
        }
    }
}

/// Runs one of the commands.
pub async fn run(arguments: BackupArguments) -> Result<(), Failure> {
    let source = arguments.source;
    match arguments.command {
        BackupCommand::Take { id, wait, timeout } => {
            take(&source, id).await?;
            if wait {
                wait::until_ended(&Backend::open(&source)?, id, timeout, source.json).await?;
            } else if source.json {
                println!("{}", serde_json::json!({"backupId": id}));
            } else {
                println!(
                    "Backup {id} has begun. 'skep backup wait {id}' tells when it is completed."
                );
            }
        }
        BackupCommand::List => {
            let reports = Backend::open(&source)?.list().await?;
            print!("{}", report::list(&reports, source.json)?);
        }
        BackupCommand::Show { id } => {
            let report = Backend::open(&source)?.show(id).await?;
            print!("{}", report::show(&report, source.json)?);
        }
        BackupCommand::Verify { id, sample } => {
            let store = Store::open(source.config.as_deref())?;
            store.verify(id, sample, source.json).await?;
        }
        BackupCommand::Delete { id } => {
            Backend::open(&source)?.delete(id).await?;
            if source.json {
                println!("{}", serde_json::json!({"backupId": id, "deleted": true}));
            } else {
                println!(
                    "Backup {id} is deleted. Space that no other backup needs is freed by the broker later."
                );
            }
        }
        BackupCommand::Wait { id, timeout } => {
            wait::until_ended(&Backend::open(&source)?, id, timeout, source.json).await?;
        }
    }
    Ok(())
}

/// Taking needs the partitions, so the store alone cannot do it.
async fn take(source: &BackupSource, id: BackupId) -> Result<(), Failure> {
    match Backend::open(source)? {
        Backend::Api(api) => api.take(id).await,
        Backend::Store(_) => Err(Failure::new(
            Code::Usage,
            "a backup is taken by a running broker; leave --store out",
        )),
    }
}
