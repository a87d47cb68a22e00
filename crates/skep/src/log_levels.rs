//! Levels of logs that are changed while the process runs.
//!
//! A logger is a module of Skep, as logs name it (`skep_raft::leadership`, also written with dots), and all modules below it and
//! whose names go on like its own. Names that operators of Zeebe know stand for those that do the same here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use skep_management::{Level, LoggerLevels, Loggers, NotSet};
use tracing::{info, warn};
use tracing_subscriber::{EnvFilter, reload};

/// Name of the logger that holds all others.
const ROOT: &str = "ROOT";

/// Loggers that may have been given a level: each is looked at for whatever may be logged. There are not as many modules.
const GIVEN_MAX: usize = 100;

/// Longest name of a logger, in bytes. No module has one as long.
const NAME_BYTES_MAX: usize = 128;

/// Zeebe's loggers, and the modules that do the same here.
const ZEEBE: [(&str, &str); 11] = [
    ("io.camunda", "skep"),
    ("io.camunda.zeebe", "skep"),
    ("io.camunda.zeebe.backup", "skep_backup"),
    ("io.camunda.zeebe.broker", "skep_broker"),
    ("io.camunda.zeebe.broker.exporter", "skep_exporter"),
    ("io.camunda.zeebe.gateway", "skep_gateway"),
    ("io.camunda.zeebe.restore", "skep_broker::restore"),
    ("io.camunda.zeebe.stream", "skep_partition"),
    ("io.atomix", "skep_raft"),
    ("io.atomix.cluster", "skep_transport"),
    ("io.atomix.raft", "skep_raft"),
];

/// Modules that say something.
const MODULES: [&str; 13] = [
    "openraft",
    "skep",
    "skep_auth",
    "skep_backup",
    "skep_blob",
    "skep_broker",
    "skep_exporter",
    "skep_gateway",
    "skep_log",
    "skep_management",
    "skep_partition",
    "skep_raft",
    "skep_transport",
];

type Apply = dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync;

/// What is logged at present.
pub struct LogLevels {
    /// As the process was started.
    begun: String,
    /// Levels given since then, by module; the root's is empty.
    given: Mutex<BTreeMap<String, Level>>,
    apply: Box<Apply>,
}

impl LogLevels {
    /// Begins with those directives; `apply` puts others in their place.
    pub fn new(
        begun: String,
        apply: impl Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync + 'static,
    ) -> LogLevels {
        LogLevels {
            begun,
            given: Mutex::default(),
            apply: Box::new(apply),
        }
    }

    fn given(&self) -> MutexGuard<'_, BTreeMap<String, Level>> {
        // Every change leaves it whole.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn levels_of(&self, module: &str, given: &BTreeMap<String, Level>) -> LoggerLevels {
        let configured = given.get(module).copied();
        let mut set = begun(&self.begun);
        set.extend(given.iter().map(|(module, level)| (module.clone(), *level)));
        let begins = |(name, _): &(&String, &Level)| module.starts_with(name.as_str());
        let narrowest = set.iter().filter(begins).max_by_key(|(name, _)| name.len());
        LoggerLevels {
            configured_level: configured.or_else(|| set.get(module).copied()),
            // What nobody has asked for says what failed.
            effective_level: narrowest.map_or(Level::Error, |(_, level)| *level),
        }
    }
}

/// The levels of whole modules among directives; what else they hold (spans, fields) is not shown.
fn begun(directives: &str) -> BTreeMap<String, Level> {
    let levels = directives.split(',').filter_map(|directive| {
        let (module, level) = directive.trim().rsplit_once('=').unwrap_or(("", directive));
        Some((module.to_owned(), Level::of_name(level.trim())?))
    });
    levels.collect()
}

/// Directives of which later ones count more.
fn directives(begun: &str, given: &BTreeMap<String, Level>) -> String {
    let mut text = begun.to_owned();
    for (module, level) in given {
        let level = level.name().to_ascii_lowercase();
        match module.is_empty() {
            true => text.push_str(&format!(",{level}")),
            false => text.push_str(&format!(",{module}={level}")),
        }
    }
    text
}

/// The module that a logger's name stands for; empty for the root.
fn module_of(name: &str) -> Option<String> {
    if name.eq_ignore_ascii_case(ROOT) {
        return Some(String::new());
    }
    if let Some((_, module)) = ZEEBE.iter().find(|(zeebe, _)| *zeebe == name) {
        return Some((*module).to_owned());
    }
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let module = name.replace('.', "::");
    let crate_name = module.split("::").next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let known = MODULES.contains(&crate_name) && module.chars().all(plain);
    known.then_some(module)
}

impl Loggers for LogLevels {
    fn all(&self) -> BTreeMap<String, LoggerLevels> {
        let given = self.given();
        let named = [ROOT].into_iter().chain(MODULES);
        let named = named.chain(ZEEBE.iter().map(|(name, _)| *name));
        let mut names: BTreeSet<String> = named.map(str::to_owned).collect();
        names.extend(given.keys().filter(|module| !module.is_empty()).cloned());
        let levels = |name: String| {
            let module = module_of(&name)?;
            Some((name, self.levels_of(&module, &given)))
        };
        names.into_iter().filter_map(levels).collect()
    }

    fn levels(&self, name: &str) -> Option<LoggerLevels> {
        let module = module_of(name)?;
        Some(self.levels_of(&module, &self.given()))
    }

    fn set(&self, name: &str, level: Option<Level>) -> Result<(), NotSet> {
        let module = module_of(name).ok_or(NotSet::Unknown)?;
        let mut given = self.given();
        match level {
            Some(_) if given.len() >= GIVEN_MAX && !given.contains_key(&module) => {
                return Err(NotSet::TooMany(GIVEN_MAX));
            }
            Some(level) => given.insert(module, level),
            None => given.remove(&module),
        };
        let directives = directives(&self.begun, &given);
        let level = level.map_or("as at the start", Level::name);
        // Held meanwhile, so that the last change is the last that is applied.
        match (self.apply)(EnvFilter::new(&directives)) {
            Ok(()) => info!(logger = name, to = level, "what is logged has changed"),
            Err(error) => warn!(%error, "what is logged could not be changed"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels() -> LogLevels {
        LogLevels::new("info,openraft=error".to_owned(), |_| Ok(()))
    }

    fn shown(levels: &LogLevels, name: &str) -> (Option<Level>, Level) {
        let found = levels.levels(name).expect("the logger is known");
        (found.configured_level, found.effective_level)
    }

    #[test]
    fn a_level_holds_for_what_is_below_until_it_is_taken_back() {
        let levels = levels();
        assert_eq!(shown(&levels, "ROOT"), (Some(Level::Info), Level::Info));
        assert_eq!(shown(&levels, "openraft.core").1, Level::Error);
        levels.set("skep_raft", Some(Level::Debug)).unwrap();
        assert_eq!(shown(&levels, "skep_raft.reader"), (None, Level::Debug));
        assert_eq!(shown(&levels, "skep_broker").1, Level::Info);
        levels.set("root", Some(Level::Off)).unwrap();
        assert_eq!(shown(&levels, "skep_broker"), (None, Level::Off));
        assert_eq!(shown(&levels, "skep_raft").1, Level::Debug);
        levels.set("skep_raft", None).unwrap();
        levels.set("ROOT", None).unwrap();
        assert_eq!(shown(&levels, "skep_raft"), (None, Level::Info));
    }

    #[test]
    fn names_of_zeebe_stand_for_the_modules_that_do_the_same() {
        let levels = levels();
        levels.set("io.camunda.zeebe", Some(Level::Warn)).unwrap();
        levels.set("io.atomix.raft", Some(Level::Trace)).unwrap();
        assert_eq!(shown(&levels, "skep_gateway").1, Level::Warn);
        let raft = (Some(Level::Trace), Level::Trace);
        assert_eq!(shown(&levels, "skep_raft"), raft);
        let given = levels.given().clone();
        let expected = "info,openraft=error,skep=warn,skep_raft=trace";
        assert_eq!(directives(&levels.begun, &given), expected);
        for strange in ["org.springframework", "io.camunda.operate", "skep_raft=x"] {
            let set = levels.set(strange, Some(Level::Off));
            assert_eq!(set, Err(NotSet::Unknown), "{strange}");
            assert_eq!(levels.levels(strange), None);
        }
        assert!(levels.all().contains_key("io.camunda.zeebe"));
    }

    #[test]
    fn no_more_loggers_are_given_levels_than_may_be_and_no_longer_ones() {
        let levels = levels();
        let debug = Some(Level::Debug);
        for number in 0..GIVEN_MAX {
            let name = format!("skep_raft.m{number}");
            assert_eq!(levels.set(&name, debug), Ok(()));
        }
        let refused = levels.set("skep_raft", debug);
        assert_eq!(refused, Err(NotSet::TooMany(GIVEN_MAX)));
        let again = levels.set("skep_raft.m7", Some(Level::Trace));
        assert_eq!(again, Ok(()), "it has one already");
        assert_eq!(levels.set("skep_raft.m7", None), Ok(()));
        assert_eq!(levels.set("skep_raft", debug), Ok(()));
        let long = format!("skep_raft.{}", "m".repeat(NAME_BYTES_MAX));
        assert_eq!(levels.set(&long, debug), Err(NotSet::Unknown));
    }
}
