//! `booty audit`: does everything add up?

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
};

use booty_ops::audit::{Report, Row, audit};
use booty_service::{Env, Exit, common};
use chrono::Utc;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::{cli::AuditArgs, operator};

/// Problems that are printed; `--json` has more.
const PRINTED: usize = 50;

/// A file of lines that wait on this machine's disk, outside the bus.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct OnDisk {
    file: PathBuf,
    lines: u64,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a Report,
    on_disk: &'a [OnDisk],
}

pub(crate) async fn run(args: AuditArgs) -> anyhow::Result<Exit> {
    let bus = match operator::connect("booty-audit").await {
        Ok(bus) => bus,
        Err(error) => {
            writeln!(io::stderr(), "booty: {error:#}")?;
            return Ok(Exit::Unavailable);
        }
    };
    let report = audit(&bus, Utc::now).await?;
    let on_disk = on_disk();
    let mut out = io::stdout().lock();
    if args.json {
        let answer = Answer { report: &report, on_disk: &on_disk };
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
    } else {
        print(&report, &on_disk, &mut out)?;
    }
    Ok(if report.ok { Exit::Success } else { Exit::Failure })
}

fn print(report: &Report, on_disk: &[OnDisk], out: &mut impl io::Write) -> io::Result<()> {
    if report.rows.is_empty() {
        writeln!(out, "no service has a durable on this server yet")?;
    } else {
        writeln!(out, "{}", table(&report.rows))?;
    }
    if !report.replays.is_empty() {
        writeln!(out, "\nreplays, counted apart:\n{}", table(&report.replays))?;
    }
    let ignored: BTreeMap<&String, u64> = report.rows.iter().flat_map(|row| &row.ignored_for).fold(
        BTreeMap::new(),
        |mut all, (r, n)| {
            *all.entry(r).or_default() += n;
            all
        },
    );
    if !ignored.is_empty() {
        let reasons: Vec<_> = ignored.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        writeln!(out, "\nignored: {}", reasons.join(", "))?;
    }
    for (subject, count) in &report.unwanted {
        writeln!(out, "no durable wants: {count} on {subject}")?;
    }
    for OnDisk { file, lines } in on_disk {
        writeln!(out, "on disk, not on the bus yet: {lines} in {}", file.display())?;
    }
    writeln!(out)?;
    if report.ok {
        return writeln!(out, "everything adds up");
    }
    writeln!(out, "{} messages do NOT add up:", report.problem_count)?;
    for problem in report.problems.iter().take(PRINTED) {
        writeln!(
            out,
            "{}\t{}-{}\t{}\t{}\t{}",
            problem.kind.as_str(),
            problem.stream,
            problem.sequence,
            problem.durable,
            problem.subject,
            problem.why
        )?;
    }
    if report.problem_count > PRINTED {
        writeln!(out, "… and {} more; --json lists them", report.problem_count - PRINTED)?;
    }
    Ok(())
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "STREAM",
        "DURABLE",
        "MESSAGES",
        "DONE",
        "IGNORED",
        "SPOOLED",
        "PURGED",
        "IN FLIGHT",
        "PROBLEMS",
    ]);
    for row in rows {
        let numbers = [
            row.messages,
            row.done,
            row.ignored,
            row.spooled,
            row.purged,
            row.in_flight,
            row.problems,
        ];
        let names = [row.stream.clone(), row.durable.clone()];
        table.add_row(names.into_iter().chain(numbers.map(|n| n.to_string())));
    }
    table
}

/// What ingress and observability keep on this machine's disk, as far as it can be read here.
fn on_disk() -> Vec<OnDisk> {
    let mut env = Env::from_process();
    let data_dir = common::data_dir(&mut env);
    let spool =
        env.optional("INGRESS_SPOOL_DIR").map_or_else(|| data_dir.join("spool"), PathBuf::from);
    let alerts = env
        .optional("OBSV_SPOOL_PATH")
        .map_or_else(|| data_dir.join("observability-spool.jsonl"), PathBuf::from);
    let mut files: Vec<PathBuf> = fs::read_dir(&spool)
        .into_iter()
        .flatten()
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    files.push(alerts);
    let counted = files.into_iter().filter_map(|file| Some(OnDisk { lines: lines(&file)?, file }));
    counted.filter(|found| found.lines > 0).collect()
}

/// A last line without an end was never confirmed to anybody, and does not count.
fn lines(path: &Path) -> Option<u64> {
    let mut file = BufReader::new(File::open(path).ok()?);
    let mut lines = 0;
    loop {
        let piece = file.fill_buf().ok()?;
        if piece.is_empty() {
            return Some(lines);
        }
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        let used = piece.len();
        file.consume(used);
    }
}
