//! A scenario's folder: read, played, compared, and on demand written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use ha_agent::config::{self, Config};

use super::diff::unified;
use super::events::{self, Line, Names};
use super::problem::Problem;
use super::transcript::Transcript;
use super::world::{Configs, FIRST, World};

/// What happens.
pub(super) const EVENTS: &str = "events.jsonl";
/// What must come of it.
pub(super) const EXPECTED: &str = "expected.txt";

/// Set, and not to 0, it has [`EXPECTED`] written anew instead of compared.
const BLESS: &str = "HA_BLESS";

/// One incident.
#[derive(Debug)]
pub struct Scenario {
    folder: PathBuf,
    configs: Configs,
    /// With the numbers that they have in the file.
    lines: Vec<(usize, Line)>,
}

/// How a replay compares with what is expected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is the same.
    Same,
    /// It is not; this is the difference.
    Differs(String),
    /// What is expected was written anew, as demanded.
    Blessed,
}

/// Where the scenarios are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// All of them, by name.
pub fn all() -> Result<BTreeMap<String, Scenario>> {
    let mut found = BTreeMap::new();
    let folder = folder();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            found.insert(name.to_string_lossy().into_owned(), Scenario::read(&path)?);
        }
    }
    Ok(found)
}

impl Scenario {
    /// Reads a folder. What is malformed is said with its file and line.
    pub fn read(folder: &Path) -> Result<Self> {
        let configs = configs(folder)?;
        let path = folder.join(EVENTS);
        let text = read_file(&path)?;
        let file = path.display().to_string();
        let lines = events::read(&file, &text, &names(&configs))?;
        Ok(Self {
            folder: folder.to_owned(),
            configs,
            lines,
        })
    }

    /// Plays it.
    pub fn play(&self) -> Result<Transcript> {
        let world = World::new(self.configs.clone());
        let mut world =
            world.with_context(|| format!("{} has no {FIRST}", self.folder.display()))?;
        for (number, line) in &self.lines {
            world.play(line).map_err(|message| Problem {
                file: self.folder.join(EVENTS).display().to_string(),
                line: *number,
                message,
            })?;
        }
        Ok(world.transcript())
    }

    /// Plays it and compares; with `HA_BLESS=1` it writes what came of it instead.
    pub fn judge(&self) -> Result<Verdict> {
        let transcript = self.play()?;
        if wants_blessing(|name| std::env::var(name).ok())? {
            self.bless(&transcript)?;
            return Ok(Verdict::Blessed);
        }
        self.compare(&transcript)
    }

    /// Compares a transcript with what is expected.
    pub fn compare(&self, transcript: &Transcript) -> Result<Verdict> {
        let path = self.folder.join(EXPECTED);
        let expected = read_file(&path)
            .with_context(|| format!("run it once with {BLESS}=1 to have it written"))?;
        let difference = unified(&path.display().to_string(), &expected, &transcript.lines);
        Ok(if difference.is_empty() {
            Verdict::Same
        } else {
            Verdict::Differs(difference)
        })
    }

    /// Writes what came of it as what is expected. The comment at the file's head stays.
    pub fn bless(&self, transcript: &Transcript) -> Result<()> {
        let path = self.folder.join(EXPECTED);
        let before = fs::read_to_string(&path).unwrap_or_default();
        let text: String = before
            .lines()
            .take_while(|line| line.starts_with('#'))
            .chain(transcript.lines.iter().map(String::as_str))
            .flat_map(|line| [line, "\n"])
            .collect();
        if text != before {
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

/// Whether the expectations are to be written anew; never where nobody looks at them afterwards.
fn wants_blessing(variable: impl Fn(&str) -> Option<String>) -> Result<bool> {
    let is_set = |name| variable(name).is_some_and(|value| !matches!(&*value, "" | "0" | "false"));
    let blessing = is_set(BLESS);
    if blessing && is_set("CI") {
        bail!("{BLESS} is set, and so is CI: expectations are only written anew by hand");
    }
    Ok(blessing)
}

fn configs(folder: &Path) -> Result<Configs> {
    let mut configs = Configs::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = read_file(&path)?;
            let config: Config = config::parse(&path.display().to_string(), &text)?;
            let name = path.file_name().unwrap_or_default();
            configs.insert(name.to_string_lossy().into_owned(), Arc::new(config));
        }
    }
    Ok(configs)
}

fn names(configs: &Configs) -> Names {
    let instances = configs.values().flat_map(|config| &config.instances);
    let checks = configs.values().flat_map(|config| &config.checks);
    Names {
        instances: instances.map(|it| it.name.clone()).collect(),
        checks: checks.map(|it| it.name.clone()).collect(),
        files: configs.keys().cloned().collect::<BTreeSet<_>>(),
    }
}

fn read_file(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(set: &[(&str, &str)]) -> Result<bool> {
        wants_blessing(|name| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn expectations_are_written_anew_only_on_demand_and_never_by_ci() {
        assert!(!wants(&[]).unwrap());
        assert!(!wants(&[("HA_BLESS", "0")]).unwrap());
        assert!(wants(&[("HA_BLESS", "1")]).unwrap());
        assert!(wants(&[("HA_BLESS", "1"), ("CI", "false")]).unwrap());
        assert!(wants(&[("HA_BLESS", "1"), ("CI", "true")]).is_err());
        assert!(!wants(&[("CI", "true")]).unwrap());
    }
}
