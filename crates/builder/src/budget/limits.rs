//! What may be spent: by one run of a job, on one issue, on one day.

use std::{fmt, time::Duration};

use booty_events::v1::{BudgetLimits, Spent};
use booty_policy::BuilderBudget;
use booty_service::Env;

use super::spent::{NANO_PER_USD, grouped, nano_usd, tokens, usd};

/// Forty answers that read 50,000 tokens each: more than a change needs that a person would delegate.
const JOB_TOKENS: u64 = 2_000_000;
/// The default rounds make 120 at most; more is a raised `BUILDER_ROUNDS`, or a loop.
const JOB_CALLS: u64 = 200;
/// Two million tokens of a dear model, most of them read from its cache.
const JOB_USD: f64 = 10.0;
/// What workers spend on it; while none has it, it costs nothing.
const JOB_WALL: Duration = Duration::from_secs(2 * 60 * 60);
/// A first attempt and its two follow-ups, each of them at its limit.
const RUNS_PER_ISSUE: u64 = 3;
/// Ten jobs a day at their limit. Whoever has more of them has looked at the price, and raises it.
const JOBS_PER_DAY: u64 = 10;

/// Below a thousand tokens no model reads an issue.
const TOKENS: std::ops::RangeInclusive<u64> = 1_000..=1_000_000_000_000;
const CALLS: std::ops::RangeInclusive<u64> = 1..=1_000_000_000;
/// A cent is the least that a limit is worth writing down for.
const USD: std::ops::RangeInclusive<f64> = 0.01..=1_000_000.0;
/// A job that works a whole day is lost.
const WALL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(24 * 60 * 60);
/// All limits of the operator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// One run of a job: an attempt, or a follow-up.
    pub job: Ceiling,
    /// How long workers may work on one run.
    pub wall: Duration,
    /// All jobs and follow-ups of one issue.
    pub issue: Ceiling,
    /// All jobs of all builders on one bus, from 00:00 to 24:00 UTC.
    pub day: Ceiling,
    /// Whether the operator asked for a limit in dollars. The defaults hold as far as prices are known; what
    /// was asked for must hold.
    pub money_is_asked_for: bool,
}

/// Limits of one scope; `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ceiling {
    /// Tokens of all kinds together.
    pub tokens: Option<u64>,
    /// Answers.
    pub calls: Option<u64>,
    /// Billionths of a US dollar.
    pub cost_nano_usd: Option<u64>,
}

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One run of a job.
    Job,
    /// All runs for an issue.
    Issue,
    /// Everything within a day.
    Day,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Tokens of all kinds.
    Tokens,
    /// Money.
    Usd,
    /// Answers.
    Calls,
}

/// A budget of which nothing is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsedUp {
    pub(crate) scope: Scope,
    what: What,
    used: u64,
    limit: u64,
    /// Whether the repository's own file sets the limit.
    by_repository: bool,
}

/// What one run may use, the repository's own limits included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JobLimits {
    pub(crate) ceiling: Ceiling,
    pub(crate) wall: Duration,
    repository: Ceiling,
    wall_by_repository: bool,
}

impl Limits {
    /// The word that lifts a limit.
    pub const NONE: &str = "none";

    /// Reads them; mistakes are kept in `env`.
    pub fn from_env(env: &mut Env) -> Self {
        let mut money_is_asked_for = false;
        let mut ceiling = |env: &mut Env, scope: Scope, times: u64| {
            let name = |what| scope.setting(what);
            let (cost_nano_usd, asked) = money(env, name(What::Usd), JOB_USD * times as f64);
            money_is_asked_for |= asked;
            Ceiling {
                tokens: count(env, name(What::Tokens), JOB_TOKENS * times, TOKENS),
                calls: count(env, name(What::Calls), JOB_CALLS * times, CALLS),
                cost_nano_usd,
            }
        };
        let job = ceiling(env, Scope::Job, 1);
        let issue = ceiling(env, Scope::Issue, RUNS_PER_ISSUE);
        let day = ceiling(env, Scope::Day, JOBS_PER_DAY);
        let mut wall = env.duration_or("BUDGET_JOB_WALL", JOB_WALL);
        if !WALL.contains(&wall) {
            env.problem("BUDGET_JOB_WALL", "is not between 1m and 24h");
            wall = JOB_WALL;
        }
        Self { job, wall, issue, day, money_is_asked_for }
    }

    /// What a run may use where the repository's file says `own`: the lower one counts.
    pub(crate) fn for_job(&self, own: &BuilderBudget) -> JobLimits {
        let below = |own: Option<u64>, limit: Option<u64>| {
            own.filter(|own| limit.is_none_or(|limit| *own < limit))
        };
        let repository = Ceiling {
            tokens: below(own.tokens, self.job.tokens),
            calls: None,
            cost_nano_usd: below(own.cost_usd.and_then(nano_usd), self.job.cost_nano_usd),
        };
        let wall = own.wall.filter(|wall| *wall < self.wall);
        JobLimits {
            ceiling: Ceiling {
                tokens: repository.tokens.or(self.job.tokens),
                calls: self.job.calls,
                cost_nano_usd: repository.cost_nano_usd.or(self.job.cost_nano_usd),
            },
            wall: wall.unwrap_or(self.wall),
            repository,
            wall_by_repository: wall.is_some(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::from_env(&mut Env::from_map::<String, String>([]))
    }
}

impl Ceiling {
    /// What is used up, if anything is.
    pub(crate) fn used_up(&self, scope: Scope, spent: &Spent) -> Option<UsedUp> {
        What::ALL.into_iter().find_map(|what| {
            let (used, limit) = (what.of(spent), self.limit(what)?);
            let by_repository = false;
            (used >= limit).then_some(UsedUp { scope, what, used, limit, by_repository })
        })
    }

    /// The limit on one of the things that are counted.
    pub fn limit(&self, what: What) -> Option<u64> {
        match what {
            What::Tokens => self.tokens,
            What::Usd => self.cost_nano_usd,
            What::Calls => self.calls,
        }
    }

    pub(crate) fn message(&self, wall: Option<Duration>) -> BudgetLimits {
        BudgetLimits {
            tokens: self.tokens,
            cost_nano_usd: self.cost_nano_usd,
            calls: self.calls,
            wall_ms: wall.map(|wall| u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

impl JobLimits {
    pub(crate) fn used_up(&self, spent: &Spent) -> Option<UsedUp> {
        let found = self.ceiling.used_up(Scope::Job, spent)?;
        let by_repository = self.repository.limit(found.what).is_some();
        Some(UsedUp { by_repository, ..found })
    }

    /// Whether the repository's file asks for a limit in dollars that is below the operator's.
    pub(crate) fn money_is_the_repository_s(&self) -> bool {
        self.repository.cost_nano_usd.is_some()
    }

    /// Where the limit on time comes from, for people.
    pub(crate) fn wall_set_by(&self) -> &'static str {
        if self.wall_by_repository {
            "`builder.budget.wall` in `.booty.yml`"
        } else {
            "`BUDGET_JOB_WALL` of the builder"
        }
    }

    pub(crate) fn message(&self) -> BudgetLimits {
        self.ceiling.message(Some(self.wall))
    }
}

impl Scope {
    /// The word in metrics and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Issue => "issue",
            Self::Day => "day",
        }
    }

    /// The operator's setting.
    pub const fn setting(self, what: What) -> &'static str {
        match (self, what) {
            (Self::Job, What::Tokens) => "BUDGET_JOB_TOKENS",
            (Self::Job, What::Usd) => "BUDGET_JOB_USD",
            (Self::Job, What::Calls) => "BUDGET_JOB_CALLS",
            (Self::Issue, What::Tokens) => "BUDGET_ISSUE_TOKENS",
            (Self::Issue, What::Usd) => "BUDGET_ISSUE_USD",
            (Self::Issue, What::Calls) => "BUDGET_ISSUE_CALLS",
            (Self::Day, What::Tokens) => "BUDGET_DAY_TOKENS",
            (Self::Day, What::Usd) => "BUDGET_DAY_USD",
            (Self::Day, What::Calls) => "BUDGET_DAY_CALLS",
        }
    }
}

impl What {
    /// All that is counted in every scope.
    pub const ALL: [Self; 3] = [Self::Tokens, Self::Usd, Self::Calls];

    /// The word in metrics and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Usd => "usd",
            Self::Calls => "calls",
        }
    }

    /// How much of it was spent.
    pub fn of(self, spent: &Spent) -> u64 {
        match self {
            Self::Tokens => tokens(spent),
            Self::Usd => spent.cost_nano_usd,
            Self::Calls => spent.calls,
        }
    }

    /// An amount of it, for people.
    pub fn shown(self, amount: u64) -> String {
        match self {
            Self::Tokens | Self::Calls => grouped(amount),
            Self::Usd => usd(amount),
        }
    }
}

/// The end of a sentence: which budget, how much of how much, and what to change.
impl fmt::Display for UsedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, what, used, limit, by_repository } = self;
        let whose = match scope {
            Scope::Job => "one job",
            Scope::Issue => "all work on this issue",
            Scope::Day => "all jobs of today (UTC)",
        };
        let unit = match what {
            What::Tokens => " tokens",
            What::Usd => "",
            What::Calls => " answers of the model",
        };
        let (used, limit) = (what.shown(*used), what.shown(*limit));
        write!(f, "the budget for {whose} is used up: {used} of {limit}{unit}. ")?;
        match (by_repository, what) {
            (true, What::Usd) => f.write_str("`builder.budget.cost_usd` in `.booty.yml`")?,
            (true, _) => f.write_str("`builder.budget.tokens` in `.booty.yml`")?,
            (false, _) => write!(f, "`{}` of the builder", scope.setting(*what))?,
        }
        f.write_str(" sets this limit; to go on, have it raised")?;
        match scope {
            Scope::Job => f.write_str(", or ask for less in one issue"),
            Scope::Issue => Ok(()),
            Scope::Day => f.write_str(", or wait for 00:00 UTC"),
        }
    }
}

/// A number, `none`, or the default.
fn count(
    env: &mut Env,
    name: &str,
    default: u64,
    bounds: std::ops::RangeInclusive<u64>,
) -> Option<u64> {
    if env.optional(name).as_deref() == Some(Limits::NONE) {
        return None;
    }
    Some(env.number_or(name, default, bounds))
}

/// Dollars, `none`, or the default; and whether an amount was asked for.
fn money(env: &mut Env, name: &str, default: f64) -> (Option<u64>, bool) {
    match env.optional(name) {
        None => (nano_usd(default), false),
        Some(none) if none == Limits::NONE => (None, false),
        Some(text) => {
            let amount = text.parse().ok().filter(|amount: &f64| USD.contains(amount));
            if amount.is_none() {
                let (from, to) = (USD.start(), USD.end());
                let problem = format!(
                    "{text:?} is not an amount of US dollars from {from} to {to}, such as 7.50, and not none"
                );
                env.problem(name, &problem);
            }
            (amount.and_then(nano_usd), true)
        }
    }
}

const _: () = assert!(NANO_PER_USD == 1_000_000_000, "limits are kept in billionths");

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(tokens: u64, calls: u64, cost_nano_usd: u64) -> Spent {
        Spent { input_tokens: tokens, calls, cost_nano_usd, ..Spent::default() }
    }

    #[test]
    fn each_limit_can_be_set_lifted_or_wrong() {
        let mut env = Env::from_map([
            ("BUDGET_JOB_TOKENS", "5000"),
            ("BUDGET_JOB_CALLS", "none"),
            ("BUDGET_ISSUE_USD", "7.5"),
            ("BUDGET_DAY_USD", "none"),
            ("BUDGET_JOB_WALL", "90m"),
        ]);
        let limits = Limits::from_env(&mut env);
        assert_eq!(env.finish(), Ok(()));
        assert_eq!((limits.job.tokens, limits.job.calls), (Some(5_000), None));
        assert_eq!(limits.issue.cost_nano_usd, Some(7_500_000_000));
        assert_eq!((limits.day.cost_nano_usd, limits.day.tokens), (None, Some(20_000_000)));
        assert_eq!(limits.wall, Duration::from_secs(90 * 60));
        assert!(limits.money_is_asked_for);
        assert!(!Limits::default().money_is_asked_for);

        let mut env = Env::from_map([
            ("BUDGET_JOB_TOKENS", "lots"),
            ("BUDGET_DAY_CALLS", "0"),
            ("BUDGET_DAY_USD", "NaN"),
            ("BUDGET_JOB_WALL", "1s"),
        ]);
        Limits::from_env(&mut env);
        let problems = env.finish().unwrap_err().0;
        let names: Vec<_> = problems.iter().map(|problem| problem.name.as_str()).collect();
        let expected =
            ["BUDGET_JOB_TOKENS", "BUDGET_DAY_USD", "BUDGET_DAY_CALLS", "BUDGET_JOB_WALL"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_repository_lowers_limits_and_raises_none() {
        let limits = Limits { wall: Duration::from_secs(600), ..Limits::default() };
        let own = BuilderBudget {
            tokens: Some(1_000),
            cost_usd: Some(500.0),
            wall: Some(Duration::from_secs(60)),
        };
        let job = limits.for_job(&own);
        assert_eq!((job.ceiling.tokens, job.wall), (Some(1_000), Duration::from_secs(60)));
        assert_eq!(job.ceiling.cost_nano_usd, limits.job.cost_nano_usd, "it is not raised");
        assert!(job.wall_set_by().contains(".booty.yml") && !job.money_is_the_repository_s());
        let said = job.used_up(&spent(1_000, 1, 0)).unwrap().to_string();
        assert!(said.contains("`builder.budget.tokens` in `.booty.yml`"), "{said}");
        assert_eq!(job.used_up(&spent(999, 1, 0)), None);
    }

    #[test]
    fn a_refusal_names_budget_use_limit_and_setting() {
        let limits = Limits::default();
        let over = [
            limits.job.used_up(Scope::Job, &spent(2_013_551, 40, 0)),
            limits.issue.used_up(Scope::Issue, &spent(0, 1, 30_120_000_000)),
            limits.day.used_up(Scope::Day, &spent(0, 2_000, 0)),
        ];
        let said = over.map(|over| over.unwrap().to_string()).join("\n");
        insta::assert_snapshot!(said, @r"
        the budget for one job is used up: 2,013,551 of 2,000,000 tokens. `BUDGET_JOB_TOKENS` of the builder sets this limit; to go on, have it raised, or ask for less in one issue
        the budget for all work on this issue is used up: $30.12 of $30.00. `BUDGET_ISSUE_USD` of the builder sets this limit; to go on, have it raised
        the budget for all jobs of today (UTC) is used up: 2,000 of 2,000 answers of the model. `BUDGET_DAY_CALLS` of the builder sets this limit; to go on, have it raised, or wait for 00:00 UTC
        ");
        assert_eq!(limits.job.used_up(Scope::Job, &spent(1_999_999, 199, 9_999_999_999)), None);
    }
}
