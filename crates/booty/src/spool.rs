//! `booty spool`: what could not be done, and trying it again.

use std::{
    fs::File,
    io::{BufReader, BufWriter, ErrorKind, IsTerminal as _, Read, Write as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use booty_ops::{Body, Entry, Filter, Handled, Page, Shown, Spool};
use booty_service::Exit;
use chrono::Utc;
use comfy_table::{ContentArrangement, Table, presets};

use crate::{
    cli::{self, SpoolFilter},
    operator,
};

/// Errors are cut to this many characters in tables.
const ERROR_CHARS: usize = 80;

pub(crate) async fn run(command: cli::Spool) -> anyhow::Result<Exit> {
    let bus = operator::connect("booty-spool").await?;
    let spool = Spool::new(&bus, Utc::now);
    match command {
        cli::Spool::List(args) => list(&spool, args).await,
        cli::Spool::Show(args) => show(&spool, args).await,
        cli::Spool::Replay(args) => replay(&spool, args).await,
        cli::Spool::Purge(args) => purge(&spool, args).await,
        cli::Spool::Export(args) => export(&spool, args).await,
        cli::Spool::Import(args) => import(&spool, args).await,
    }
}

async fn list(spool: &Spool, args: cli::SpoolList) -> anyhow::Result<Exit> {
    let page = Page { limit: args.limit, after: args.after };
    let list = spool.list(&filter(&args.filter)?, &page).await?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
        return Ok(Exit::Success);
    }
    if list.entries.is_empty() {
        if out.is_terminal() {
            writeln!(out, "nothing is in the spool that fits")?;
        }
        return Ok(Exit::Success);
    }
    if out.is_terminal() {
        writeln!(out, "{}", table(&list.entries))?;
        if let Some(next) = list.next_after {
            writeln!(out, "\n{} of {}; more: --after {next}", list.entries.len(), list.total)?;
        }
    } else {
        for entry in &list.entries {
            let columns = columns(entry, usize::MAX);
            writeln!(out, "{}", columns.join("\t"))?;
        }
    }
    Ok(Exit::Success)
}

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["ID", "STATE", "SERVICE", "REASON", "ORIGIN", "SINCE", "TRIES", "ERROR"]);
    for entry in entries {
        table.add_row(columns(entry, ERROR_CHARS));
    }
    table
}

fn columns(entry: &Entry, error_chars: usize) -> [String; 8] {
    let mut state = entry.state.as_str().to_owned();
    if let Some(again) = entry.failed_as {
        state.push_str(&format!(" (now {again})"));
    }
    let error: String = entry
        .error
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(error_chars)
        .collect();
    [
        entry.sequence.to_string(),
        state,
        entry.service.clone(),
        entry.reason.clone(),
        entry.origin.clone(),
        entry.time.format("%Y-%m-%d %H:%M:%SZ").to_string(),
        entry.attempts.map_or_else(|| "-".to_owned(), |attempts| attempts.to_string()),
        error,
    ]
}

async fn show(spool: &Spool, args: cli::SpoolShow) -> anyhow::Result<Exit> {
    let shown = spool.show(&args.id).await?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
        return Ok(Exit::Success);
    }
    let Shown { entry, headers, body } = shown;
    let [id, state, service, reason, origin, since, tries, error] = columns(&entry, usize::MAX);
    for (name, value) in [
        ("id", id),
        ("state", state),
        ("service", service),
        ("reason", reason),
        ("origin", origin),
        ("subject", entry.subject),
        ("since", since),
        ("tries", tries),
        ("error", error),
        ("replay", entry.replay.unwrap_or_default()),
        ("replay to", entry.replay_subject),
        ("bytes", entry.bytes.to_string()),
    ] {
        if !value.is_empty() {
            writeln!(out, "{name:<11}{value}")?;
        }
    }
    writeln!(out)?;
    for (name, value) in headers {
        writeln!(out, "{name}: {value}")?;
    }
    writeln!(out)?;
    match body {
        Body::Json(value) => writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?,
        Body::Text(text) => writeln!(out, "{text}")?,
        Body::Base64(text) => writeln!(out, "base64: {text}")?,
    }
    Ok(Exit::Success)
}

async fn replay(spool: &Spool, args: cli::SpoolReplay) -> anyhow::Result<Exit> {
    let filter = filter(&args.filter)?;
    if let Err(error) = filter.check_explicit() {
        return operator::usage(&error);
    }
    tell(&spool.replay(&filter).await?, args.json, "no entry of the spool fits")
}

async fn purge(spool: &Spool, args: cli::SpoolPurge) -> anyhow::Result<Exit> {
    let filter = filter(&args.filter)?;
    if let Err(error) = filter.check_explicit() {
        return operator::usage(&error);
    }
    if !args.yes {
        let list = spool.list(&filter, &Page::default()).await?;
        if list.total == 0 {
            return tell(&Handled::default(), args.json, "no entry of the spool fits");
        }
        if !std::io::stdin().is_terminal() {
            return operator::usage(&"this removes entries for good: say --yes");
        }
        let forced = if args.force { ", replayed or not" } else { " that were replayed" };
        let question = format!("Remove {} entries{forced}, for good?", list.total);
        if !operator::confirm(&question)? {
            bail!("nothing was removed");
        }
    }
    let handled = spool.purge(&filter, args.force).await?;
    tell(&handled, args.json, "no entry of the spool fits")
}

async fn export(spool: &Spool, args: cli::SpoolExport) -> anyhow::Result<Exit> {
    let filter = filter(&args.filter)?;
    let written = match args.file.as_deref().filter(|file| *file != Path::new("-")) {
        None => match spool.export(&filter, &mut std::io::stdout()).await {
            // Whoever reads has enough.
            Err(booty_ops::Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => {
                return Ok(Exit::Success);
            }
            written => written?,
        },
        Some(path) => {
            let file = File::options().write(true).create_new(true).open(path);
            let file = file.with_context(|| format!("{} can't be made", path.display()))?;
            let mut writer = BufWriter::new(file);
            let written = spool.export(&filter, &mut writer).await?;
            writer.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            written
        }
    };
    let _ = writeln!(std::io::stderr(), "{written} entries");
    Ok(if written == 0 { Exit::Failure } else { Exit::Success })
}

async fn import(spool: &Spool, args: cli::SpoolImport) -> anyhow::Result<Exit> {
    let from: Box<dyn Read + Send> = if args.file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = File::open(&args.file);
        Box::new(file.with_context(|| format!("{} can't be read", args.file.display()))?)
    };
    let handled = spool.import(&mut BufReader::new(from)).await?;
    tell(&handled, args.json, "the file has no line")
}

/// Says what became of each, and turns it into an exit code.
fn tell(handled: &Handled, json: bool, none: &str) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(handled)?)?;
    } else if handled.matched == 0 {
        let _ = writeln!(std::io::stderr(), "booty: {none}");
    } else {
        for one in &handled.entries {
            if let Some(why) = &one.why {
                writeln!(out, "{}\t{}\t{why}", one.sequence, one.result)?;
            }
        }
        let counts: Vec<_> = handled.counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
        writeln!(out, "{}", counts.join(", "))?;
    }
    let went_wrong = handled.count("failed") + handled.count("refused");
    Ok(if handled.matched == 0 || went_wrong > 0 { Exit::Failure } else { Exit::Success })
}

fn filter(args: &SpoolFilter) -> anyhow::Result<Filter> {
    let state = args.state.as_ref().map(|state| serde_json::from_value(state.as_str().into()));
    Ok(Filter {
        service: args.service.clone(),
        reason: args.reason.clone(),
        since: args.since,
        until: args.until,
        ids: args.id.clone(),
        state: state.transpose()?,
        all: args.all,
    })
}
