//! Where the files of a store are, and how one store directory takes the place of another.
//!
//! ```text
//! <root>/STORE           the marker, written last: a directory without it is no store
//! <root>/tree/…          the engine's files
//! <root>.load/           a store being loaded
//! <root>.old/            the store that a loaded one is replacing
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use skep_state::StateError;

use crate::error::{self, StoreError};

/// The paths of one store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Layout {
        Layout {
            root: root.to_owned(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn marker(&self) -> PathBuf {
        self.root.join("STORE")
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.root.join("tree")
    }

    pub(crate) fn tables(&self) -> PathBuf {
        self.tree().join("tables")
    }

    pub(crate) fn table(&self, id: u64) -> PathBuf {
        self.tables().join(id.to_string())
    }

    fn sibling(&self, suffix: &str) -> Layout {
        let mut name = self.root.clone().into_os_string();
        name.push(suffix);
        Layout {
            root: PathBuf::from(name),
        }
    }

    /// Where a store that shall replace this one is loaded.
    pub(crate) fn loading(&self) -> Layout {
        self.sibling(".load")
    }

    fn replaced(&self) -> Layout {
        self.sibling(".old")
    }

    fn parent(&self) -> &Path {
        match self.root.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// Removes the directory with all that is in it, if it exists.
    pub(crate) fn remove(&self) -> Result<(), StateError> {
        match fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error::io(format!("remove {}", self.root.display()), &error))
            }
            _ => Ok(()),
        }
    }

    fn rename_to(&self, other: &Layout) -> Result<(), StateError> {
        let rename = || {
            fs::rename(&self.root, &other.root)?;
            sync_dir(self.parent())
        };
        rename().map_err(|error| {
            let action = format!("rename {} to {}", self.root.display(), other.root.display());
            error::io(action, &error)
        })
    }

    /// Makes the loaded store the store, durably. A crash at any moment leaves the old one or the new one.
    pub(crate) fn replace_with_loaded(&self) -> Result<(), StateError> {
        if self.root.exists() {
            self.replaced().remove()?;
            self.rename_to(&self.replaced())?;
        }
        self.loading().rename_to(self)?;
        self.replaced().remove()
    }

    /// Finishes or undoes a replacement that a crash interrupted.
    pub(crate) fn settle(&self) -> Result<(), StateError> {
        if !self.root.exists() && self.replaced().root.exists() {
            self.replaced().rename_to(self)?;
        }
        self.replaced().remove()?;
        self.loading().remove()
    }

    /// Creates an empty directory for a store, or empties one whose creation was interrupted.
    pub(crate) fn create(&self) -> Result<(), StoreError> {
        let holds_tables =
            fs::read_dir(self.tables()).is_ok_and(|mut tables| tables.next().is_some());
        if holds_tables {
            let reason = "the marker is missing, but there is content";
            return Err(error::corrupt(&self.marker(), reason).into());
        }
        match fs::remove_dir_all(self.tree()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error::io(format!("remove {}", self.tree().display()), &error).into());
            }
            _ => {}
        }
        let create = || {
            fs::create_dir_all(&self.root)?;
            sync_dir(self.parent())
        };
        create()
            .map_err(|error| error::io(format!("create {}", self.root.display()), &error).into())
    }
}

pub(crate) fn sync_dir(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}
