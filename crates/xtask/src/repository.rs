//! What the checks look at: manifests and sources of all crates, and the documents.

use std::fs;
use std::path::{Path, PathBuf};

/// All crates and documents.
pub struct Repository {
    /// In the order of their names.
    pub crates: Vec<Crate>,
    /// What is directly in docs/.
    pub documents: Vec<Document>,
}

/// One document.
pub struct Document {
    /// From the repository's root.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// One crate.
pub struct Crate {
    /// Name of its directory, which is its name without `skep-`.
    pub name: String,
    /// Names below `[dependencies]`, without `skep-` where they are ours.
    pub dependencies: Vec<String>,
    /// Its sources, tests and benchmarks among them.
    pub sources: Vec<Source>,
}

/// One file.
pub struct Source {
    /// From the repository's root.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Whether it is compiled into the library or program.
    pub fn is_product(&self) -> bool {
        let path = self.path.to_string_lossy();
        let testing = [
            "/tests/",
            "/benches/",
            "/examples/",
            "/tests.rs",
            "/testkit",
        ];
        !testing.iter().any(|part| path.contains(part))
    }
}

impl Repository {
    /// Reads the repository that this program was built from.
    pub fn read() -> Result<Repository, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().map_err(|error| error.to_string())?;
        let mut crates = Vec::new();
        for directory in entries(&root.join("crates"))? {
            crates.push(read_crate(&root, &directory)?);
        }
        let mut documents = Vec::new();
        for path in entries(&root.join("docs"))? {
            if path.extension().is_some_and(|extension| extension == "md") {
                let text = read(&path)?;
                let path = path.strip_prefix(&root).unwrap_or(&path).to_owned();
                documents.push(Document { path, text });
            }
        }
        Ok(Repository { crates, documents })
    }
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("{}: {error}", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_crate(root: &Path, directory: &Path) -> Result<Crate, String> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let manifest = read(&directory.join("Cargo.toml"))?;
    let mut sources = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for path in entries(&directory)? {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = read(&path)?;
                let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    Ok(Crate {
        name: name.into_owned(),
        dependencies: dependencies(&manifest),
        sources,
    })
}

/// The names below `[dependencies]`, `skep-` left out.
fn dependencies(manifest: &str) -> Vec<String> {
    let lines = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]");
    lines
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split([' ', '.', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(|name| name.strip_prefix("skep-").unwrap_or(name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dependencies_of_the_product_count() {
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\nbytes.workspace = true\n# why\nskep-feel = { workspace = true }\n\n\
                        [dev-dependencies]\ntempfile.workspace = true\n";
        assert_eq!(dependencies(manifest), ["bytes", "feel"]);
    }
}
