//! What a judgement goes by: the base's `.booty.yml`, or what the base's files say about how it is
//! tested. The change never rules its own judgement.

use booty_policy::{
    Config, ConfigErrors, Language, TreeView,
    config::CommandSpec,
    detect::{Detected, Runner, detect, runner_of},
};

/// What a judgement goes by.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) config: Config,
    pub(crate) language: Option<Language>,
    /// How the merged tree is made ready and tested.
    pub(crate) merged: Commands,
    /// How the base is.
    pub(crate) base: Commands,
    /// Where they come from, in one sentence.
    pub(crate) said: String,
}

/// The commands for one tree.
#[derive(Debug, Clone)]
pub(crate) struct Commands {
    pub(crate) setup: Option<CommandSpec>,
    /// Only what is asked for beside the language's own check.
    pub(crate) check: Option<CommandSpec>,
    pub(crate) test: Option<CommandSpec>,
    pub(crate) runner: Runner,
}

impl Default for Commands {
    fn default() -> Self {
        Self { setup: None, check: None, test: None, runner: Runner::Other }
    }
}

impl Rules {
    /// Reads them. The base's file may be broken; then nothing can be judged.
    pub(crate) fn read(
        base: &(dyn TreeView + Sync),
        merged: &(dyn TreeView + Sync),
    ) -> Result<Self, ConfigErrors> {
        match base.read(Config::FILE_NAME) {
            Some(file) => Config::parse(file.as_bytes()).map(|config| configured(config, base)),
            None => Ok(detected(detect(base), detect(merged))),
        }
    }
}

fn configured(config: Config, base: &(dyn TreeView + Sync)) -> Rules {
    let found = detect(base);
    let language = config.language.or(found.as_ref().map(|found| found.language));
    let test = config.test.as_ref();
    let runner = test.map_or(Runner::Other, |test| runner_of(language, test, base));
    let commands = Commands {
        setup: config.setup.clone(),
        check: config.check.clone(),
        test: config.test.clone(),
        runner,
    };
    let of = language.map_or_else(String::new, |language| format!(" ({language})"));
    let said = format!("The commands are those of `{}` on the base{of}.", Config::FILE_NAME);
    Rules { config, language, merged: commands.clone(), base: commands, said }
}

/// The base says by which runner it is judged. What makes the merged tree ready, and where its code lies, is
/// taken from that tree: a change may bring its first dependency along, or move the code below `src`.
fn detected(base: Option<Detected>, merged: Option<Detected>) -> Rules {
    let config = Config::default();
    let Some(base) = base.filter(|base| base.test.is_some()).or_else(|| merged.clone()) else {
        let said = "There is no `.booty.yml`, and no language that Booty knows.".to_owned();
        let (merged, base) = (Commands::default(), Commands::default());
        return Rules { config, language: None, merged, base, said };
    };
    let same = merged.filter(|merged| {
        merged.language == base.language && merged.runner == base.runner && merged.test.is_some()
    });
    let said = format!("There is no `.booty.yml`; detected: {}.", base.what);
    let of_base = commands(&base);
    let of_merged = same.as_ref().map_or_else(|| of_base.clone(), commands);
    Rules { config, language: Some(base.language), merged: of_merged, base: of_base, said }
}

fn commands(found: &Detected) -> Commands {
    // The stage for imports does what these do, and says where.
    let is_own_check = !matches!(found.language, Language::Node);
    Commands {
        setup: found.setup.clone(),
        check: found.check.clone().filter(|_| !is_own_check),
        test: found.test.clone(),
        runner: found.runner,
    }
}
