//! `booty budget`: what models have cost, and what is left. Reads the bus and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write as _},
};

use booty_builder::budget::{self, Ledger, NANO_PER_USD, Scope, What};
use booty_events::{
    IssueNumber, RepoName,
    v1::{Budget, BudgetLimits, BudgetSettings, Spent},
};
use booty_service::{Exit, Pause};
use chrono::{DateTime, NaiveDate, Utc};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::{cli::BudgetArgs, operator};

/// Issues and runs that are shown of today; a day that is asked for is shown whole.
const NEWEST: usize = 10;

/// All that is shown; `--json` prints it as it is.
#[derive(Debug, Serialize)]
struct Shown {
    /// `day` or `issue`.
    scope: &'static str,
    /// The day, or `owner/repo#7`.
    of: String,
    tokens: Used<u64>,
    usd: Used<f64>,
    /// Answers.
    calls: Used<u64>,
    /// Answers whose price is not known; `usd` is without them.
    unpriced_calls: u64,
    models: Vec<Row>,
    issues: Vec<Row>,
    jobs: Vec<Row>,
    /// What one run of a job, and all of an issue, may use.
    limits: Limits,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Used<T> {
    used: T,
    limit: Option<T>,
    left: Option<T>,
}

/// What one model, issue or run has used.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    tokens: u64,
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    usd: f64,
    calls: u64,
    unpriced_calls: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    issue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worked_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
    #[serde(skip)]
    cost: String,
}

#[derive(Debug, Default, Serialize)]
struct Limits {
    job: Limit,
    issue: Limit,
    day: Limit,
}

/// What is absent has no limit, or is not known because no builder has run yet.
#[derive(Debug, Default, Serialize)]
struct Limit {
    tokens: Option<u64>,
    usd: Option<f64>,
    calls: Option<u64>,
    wall_seconds: Option<u64>,
}

pub(crate) async fn run(args: BudgetArgs) -> anyhow::Result<Exit> {
    let issue = match args.issue.as_deref().map(issue) {
        Some(Err(why)) => return operator::usage(&why),
        Some(Ok(issue)) => Some(issue),
        None => None,
    };
    let ledger = Ledger::new(&operator::connect("booty-budget").await?);
    let told = |pause: Pause| anyhow::anyhow!(pause.why());
    let settings = ledger.settings().await.map_err(told)?.unwrap_or_default();
    let shown = match issue {
        Some((repository, number)) => {
            let budget = ledger.issue(&repository, number.get()).await.map_err(told)?;
            let jobs = ledger.all("job.>").await.map_err(told)?;
            let jobs: Vec<_> = jobs.into_iter().filter(|job| is_of(job, &budget)).collect();
            of_issue(format!("{repository}#{number}"), &budget, jobs, &settings)
        }
        None => {
            let today = Utc::now().date_naive();
            let day = args.day.unwrap_or(today);
            let budget = ledger.day(day).await.map_err(told)?;
            let issues = ledger.all("issue.>").await.map_err(told)?;
            let jobs = ledger.all("job.>").await.map_err(told)?;
            of_day(day, args.day.is_some(), &budget, issues, jobs, &settings)
        }
    };
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&shown)?)?;
    } else {
        print(&shown, &mut out)?;
    }
    Ok(Exit::Success)
}

/// `owner/repo#7`
fn issue(text: &str) -> Result<(RepoName, IssueNumber), String> {
    let parsed = text.split_once('#').and_then(|(repository, number)| {
        Some((repository.parse().ok()?, IssueNumber::new(number.parse().ok()?)?))
    });
    parsed.ok_or_else(|| format!("{text:?} is no issue; write it as owner/repo#7"))
}

/// Whether a run is counted in a budget.
fn is_of(job: &Budget, budget: &Budget) -> bool {
    job.counted.keys().any(|run| budget.counted.contains_key(run))
}

fn of_issue(of: String, budget: &Budget, jobs: Vec<Budget>, settings: &BudgetSettings) -> Shown {
    let jobs = jobs.iter().rev().map(Row::of_run).collect();
    let limits = settings.issue.unwrap_or_default();
    Shown { jobs, ..shown(Scope::Issue, of, budget, &limits, settings) }
}

/// Today: the newest issues and runs, whenever they were. Another day: those that spent something on it.
fn of_day(
    day: NaiveDate,
    is_asked_for: bool,
    budget: &Budget,
    issues: Vec<Budget>,
    jobs: Vec<Budget>,
    settings: &BudgetSettings,
) -> Shown {
    let newest = |mut all: Vec<Budget>, is_shown: &dyn Fn(&Budget) -> bool| {
        all.retain(is_shown);
        all.reverse();
        all.truncate(if is_asked_for { usize::MAX } else { NEWEST });
        all
    };
    let is_shown = |one: &Budget| !is_asked_for || is_of(one, budget);
    let issues = newest(issues, &is_shown).iter().map(Row::of_issue).collect();
    let jobs = newest(jobs, &is_shown).iter().map(Row::of_run).collect();
    let limits = settings.day.unwrap_or_default();
    Shown { issues, jobs, ..shown(Scope::Day, day.to_string(), budget, &limits, settings) }
}

fn shown(
    scope: Scope,
    of: String,
    budget: &Budget,
    limits: &BudgetLimits,
    settings: &BudgetSettings,
) -> Shown {
    let spent = budget.spent.unwrap_or_default();
    let count = |used: u64, limit: Option<u64>| Used {
        used,
        limit,
        left: limit.map(|limit| limit.saturating_sub(used)),
    };
    let money = count(spent.cost_nano_usd, limits.cost_nano_usd);
    let models: BTreeMap<_, _> = budget.models.iter().collect();
    Shown {
        scope: scope.as_str(),
        of,
        tokens: count(budget::tokens(&spent), limits.tokens),
        usd: Used {
            used: dollars(money.used),
            limit: money.limit.map(dollars),
            left: money.left.map(dollars),
        },
        calls: count(spent.calls, limits.calls),
        unpriced_calls: spent.unpriced_calls,
        models: models.into_iter().map(|(name, spent)| Row::new(name.clone(), spent)).collect(),
        issues: Vec::new(),
        jobs: Vec::new(),
        limits: Limits {
            job: limit(settings.job.as_ref()),
            issue: limit(settings.issue.as_ref()),
            day: limit(settings.day.as_ref()),
        },
    }
}

fn limit(limits: Option<&BudgetLimits>) -> Limit {
    let Some(limits) = limits else { return Limit::default() };
    Limit {
        tokens: limits.tokens,
        usd: limits.cost_nano_usd.map(dollars),
        calls: limits.calls,
        wall_seconds: limits.wall_ms.map(|ms| ms / 1_000),
    }
}

impl Row {
    fn new(name: String, spent: &Spent) -> Self {
        Self {
            name,
            tokens: budget::tokens(spent),
            input_tokens: spent.input_tokens,
            output_tokens: spent.output_tokens,
            cache_read_tokens: spent.cache_read_tokens,
            cache_write_tokens: spent.cache_write_tokens,
            usd: dollars(spent.cost_nano_usd),
            calls: spent.calls,
            unpriced_calls: spent.unpriced_calls,
            issue: None,
            worked_seconds: None,
            models: Vec::new(),
            updated: None,
            cost: budget::cost_in_short(spent),
        }
    }

    fn of_issue(budget: &Budget) -> Self {
        let models: BTreeSet<_> = budget.models.keys().cloned().collect();
        Self {
            models: models.into_iter().collect(),
            updated: budget.updated.as_ref().and_then(|at| {
                let at = DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)?;
                Some(at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
            }),
            ..Self::new(issue_name(budget), &budget.spent.unwrap_or_default())
        }
    }

    fn of_run(budget: &Budget) -> Self {
        let run = budget.counted.keys().next().unwrap_or(&budget.job).clone();
        Self {
            name: run,
            issue: Some(issue_name(budget)),
            worked_seconds: Some(budget.worked_ms / 1_000),
            ..Self::of_issue(budget)
        }
    }
}

fn issue_name(budget: &Budget) -> String {
    format!("{}#{}", budget.repository, budget.issue)
}

fn dollars(nano_usd: u64) -> f64 {
    nano_usd as f64 / NANO_PER_USD as f64
}

fn print(shown: &Shown, out: &mut impl io::Write) -> io::Result<()> {
    let of_what = if shown.scope == Scope::Day.as_str() { " (UTC)" } else { "" };
    writeln!(out, "{}{of_what}\n\n{}", shown.of, used(shown))?;
    if shown.unpriced_calls > 0 {
        let (unpriced, calls) = (shown.unpriced_calls, shown.calls.used);
        writeln!(
            out,
            "\nThe price of {unpriced} of {calls} calls is not known: their cost is in no sum of dollars, \
             and no limit in dollars holds them."
        )?;
    }
    if shown.limits.job.wall_seconds.is_none() {
        writeln!(out, "\nNo builder has noted its limits on this bus yet.")?;
    } else {
        writeln!(out, "\nLimits of one job:  {}", in_words(&shown.limits.job))?;
        writeln!(out, "Limits of an issue: {}", in_words(&shown.limits.issue))?;
    }
    for (title, rows) in [("MODEL", &shown.models), ("ISSUE", &shown.issues), ("JOB", &shown.jobs)]
    {
        if !rows.is_empty() {
            writeln!(out, "\n{}", table(title, rows))?;
        }
    }
    Ok(())
}

fn used(shown: &Shown) -> Table {
    let amount = |what: What, amount: Option<u64>| match amount {
        Some(amount) => what.shown(amount),
        None => "no limit".to_owned(),
    };
    let nano = |usd: f64| (usd * NANO_PER_USD as f64).round() as u64;
    let mut table = plain(&["", "USED", "LIMIT", "LEFT"]);
    for (what, name, Used { used, limit, left }) in [
        (What::Tokens, "tokens", shown.tokens),
        (
            What::Usd,
            "cost",
            Used {
                used: nano(shown.usd.used),
                limit: shown.usd.limit.map(nano),
                left: shown.usd.left.map(nano),
            },
        ),
        (What::Calls, "calls", shown.calls),
    ] {
        let left = left.map_or_else(|| "–".to_owned(), |left| what.shown(left));
        table.add_row([name.to_owned(), what.shown(used), amount(what, limit), left]);
    }
    table
}

fn table(title: &str, rows: &[Row]) -> Table {
    let is_model = title == "MODEL";
    let is_job = title == "JOB";
    let mut header = vec![title, "TOKENS", "COST", "CALLS"];
    if is_job {
        header.extend(["WORKED", "ISSUE"]);
    }
    if !is_model {
        header.extend(["MODELS", "UPDATED"]);
    }
    let mut table = plain(&header);
    for row in rows {
        let mut cells = vec![
            row.name.clone(),
            budget::grouped(row.tokens),
            row.cost.clone(),
            budget::grouped(row.calls),
        ];
        if is_job {
            cells.push(format!("{} s", row.worked_seconds.unwrap_or_default()));
            cells.push(row.issue.clone().unwrap_or_default());
        }
        if !is_model {
            cells.push(row.models.join(", "));
            cells.push(row.updated.clone().unwrap_or_default());
        }
        table.add_row(cells);
    }
    table
}

fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(1).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn in_words(limit: &Limit) -> String {
    let amount = |value: Option<String>, unit: &str| match value {
        Some(value) => format!("{value}{unit}"),
        None => format!("no limit on{}", if unit.is_empty() { " dollars" } else { unit }),
    };
    let nano = |usd: f64| (usd * NANO_PER_USD as f64).round() as u64;
    let mut words = vec![
        amount(limit.tokens.map(budget::grouped), " tokens"),
        amount(limit.usd.map(|usd| budget::usd(nano(usd))), ""),
        amount(limit.calls.map(budget::grouped), " calls"),
    ];
    if let Some(seconds) = limit.wall_seconds {
        let wall = std::time::Duration::from_secs(seconds);
        words.push(format!("{} of work", humantime::format_duration(wall)));
    }
    words.join(", ")
}
