//! `booty config`: what is wrong with a `.booty.yml`, what it says, and its schema.

mod folder;
mod show;

use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    path::Path,
};

use anyhow::Context as _;
use booty_policy::{Config, config, detect};
use booty_service::Exit;

use crate::cli::{self, ConfigCheck};

pub(crate) fn run(command: cli::Config) -> anyhow::Result<Exit> {
    match command {
        cli::Config::Check(args) => {
            let coloured =
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let (text, exit) = check(&args, Path::new("."), coloured)?;
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(exit)
        }
        cli::Config::Schema => {
            std::io::stdout().write_all(config::schema().as_bytes())?;
            Ok(Exit::Success)
        }
    }
}

/// What to print, and how to end.
fn check(args: &ConfigCheck, folder: &Path, coloured: bool) -> anyhow::Result<(String, Exit)> {
    let (name, bytes) = match &args.file {
        Some(file) if file.as_os_str() == "-" => ("-".to_owned(), limited(std::io::stdin())?),
        Some(file) => {
            let name = file.display().to_string();
            let opened = std::fs::File::open(folder.join(file));
            let bytes = opened.and_then(limited).with_context(|| format!("can't read {name}"))?;
            (name, bytes)
        }
        None => match std::fs::File::open(folder.join(Config::FILE_NAME)) {
            Ok(file) => (Config::FILE_NAME.to_owned(), limited(file)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = if args.json { "[]\n".to_owned() } else { detected(folder) };
                return Ok((text, Exit::Success));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("can't read {}", Config::FILE_NAME));
            }
        },
    };
    let (errors, said) = match Config::parse(&bytes) {
        Ok(config) => (Vec::new(), show::config(&config)),
        Err(errors) => (errors.errors, String::new()),
    };
    let exit = if errors.is_empty() { Exit::Success } else { Exit::Failure };
    let text = match (args.json, exit) {
        (true, _) => show::json(&errors),
        (false, Exit::Success) => format!("{}: {said}\n", show::clean(&name)),
        (false, _) => show::errors(&name, &bytes, &errors, coloured),
    };
    Ok((text, exit))
}

/// One byte more than the reader takes, so that it can say what is wrong.
fn limited(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(config::MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn detected(folder: &Path) -> String {
    let found = match detect(&folder::Folder::open(folder)) {
        Some(found) => format!("detected {}", show::clean(&found.what)),
        None => "nothing was detected".to_owned(),
    };
    format!("no {}; {found}\n", Config::FILE_NAME)
}

#[cfg(test)]
mod tests;
