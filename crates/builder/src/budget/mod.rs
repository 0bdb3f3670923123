//! What models may cost, and what they have cost.
//!
//! Each answer is counted once in three sums (of its run, its issue and its day) after it is in the journal:
//! the journal is the truth, and what a killed builder did not count is counted by whoever goes on with the
//! job. Before each question all sums are looked at. Nothing is reserved, so a limit is passed by at most
//! one answer for each worker that asks at that moment.

mod ledger;
mod limits;
mod metrics;
mod name;
mod price;
mod spent;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use booty_bus::{Bus, Delivery};
use booty_events::{
    bucket,
    v1::{Budget, BudgetSettings, Event, JobState, Spent},
};
use booty_model::{Answer, Usage};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use tokio::{sync::Mutex, time::timeout};

use self::{ledger::Charge, ledger::Posting};
pub use self::{
    ledger::Ledger,
    limits::{Ceiling, Limits, Scope, What},
    price::Prices,
    spent::{NANO_PER_USD, cost, cost_in_short, grouped, tokens, usd},
};
pub(crate) use self::{
    limits::{JobLimits, UsedUp},
    metrics::{Asked, Metrics},
};
use crate::{
    Settings,
    job::JobJournal,
    order::Order,
    outcome::Ending,
    shared::{Pause, Shared, chain},
};

/// How long a job waits for a day with a budget of its own, from its delivery on. The inbox keeps deliveries
/// for a week: what waited longer would vanish without a word.
const MAX_WAIT: TimeDelta = TimeDelta::days(3);
/// How long a scrape waits for the bus.
const SCRAPE_LIMIT: Duration = Duration::from_secs(1);

/// An answer in a journal: what it cost, and when it was written down.
#[derive(Debug, Clone)]
pub(crate) struct Paid {
    pub(crate) index: u32,
    pub(crate) at: DateTime<Utc>,
    pub(crate) model: String,
    pub(crate) usage: Usage,
}

/// All budgets, as this builder keeps them.
pub(crate) struct Budgets {
    ledger: Ledger,
    limits: Limits,
    prices: Prices,
    /// The model that is asked, as `provider:name`.
    model: String,
    pub(crate) metrics: Metrics,
    now: fn() -> DateTime<Utc>,
    /// The workers of one builder count one after the other, so that only builders race.
    turn: Mutex<()>,
}

impl Budgets {
    pub(crate) fn new(settings: &Settings, bus: &Bus) -> Result<Self, prometheus::Error> {
        Ok(Self {
            ledger: Ledger::new(bus),
            limits: settings.budgets,
            prices: settings.prices.clone(),
            model: settings.model.spec.clone(),
            metrics: Metrics::new()?,
            now: settings.clock,
            turn: Mutex::new(()),
        })
    }

    /// Puts the limits where whoever shows budgets finds them.
    pub(crate) async fn note_limits(&self) -> Result<(), Pause> {
        let Limits { job, wall, issue, day, .. } = &self.limits;
        self.ledger
            .note_settings(&BudgetSettings {
                job: Some(job.message(Some(*wall))),
                issue: Some(issue.message(None)),
                day: Some(day.message(None)),
                updated: Some((self.now)().into()),
            })
            .await
    }

    /// What a run may use where its repository's file says `own`.
    pub(crate) fn for_job(&self, own: &booty_policy::BuilderBudget) -> Result<JobLimits, Ending> {
        let limits = self.limits.for_job(own);
        if limits.money_is_the_repository_s() && !self.prices.know(&self.model) {
            let sentence = "I did not begin: `builder.budget.cost_usd` in `.booty.yml` asks for a \
                limit in dollars, and the price of the model that I ask is not known. Take it out, \
                or write `builder.budget.tokens` in its place; or have the operator choose a model \
                with a known price.";
            return Err(Ending::needs_human("budget_unpriced", sentence));
        }
        Ok(limits)
    }

    /// What a run has spent, by its journal.
    pub(crate) fn spent(&self, journal: &mut JobJournal) -> Result<Spent, Pause> {
        let mut sum = Spent::default();
        for paid in journal.paid()? {
            spent::add(&mut sum, &self.price(paid).spent);
        }
        Ok(sum)
    }

    /// Counts what is in the journal and in no sum yet, and how long was worked. The run comes last: what is in
    /// its sum is in all of them.
    pub(crate) async fn count(
        &self,
        order: &Order,
        journal: &mut JobJournal,
        limits: Option<&JobLimits>,
    ) -> Result<(), Pause> {
        let worked = u64::try_from(journal.worked().as_millis()).unwrap_or(u64::MAX);
        let (run, counted) = (order.run(), journal.counted());
        let paid: Vec<&Paid> =
            journal.paid()?.iter().filter(|paid| paid.index >= counted).collect();
        let Some(newest) = paid.last().map(|paid| paid.index) else { return Ok(()) };
        let charges: Vec<Charge> = paid.iter().map(|paid| self.price(paid)).collect();
        let mut days: BTreeMap<NaiveDate, Vec<Charge>> = BTreeMap::new();
        for (paid, charge) in paid.iter().zip(&charges) {
            days.entry(paid.at.date_naive()).or_default().push(charge.clone());
        }

        let now = (self.now)();
        let _turn = self.turn.lock().await;
        for (day, charges) in days {
            let posting = Posting { run: &run, charges: &charges };
            let posted = self.ledger.post(&ledger::day_key(day), &posting, now, |_| {}).await?;
            if day == now.date_naive() {
                self.show(Scope::Day, &posted.budget, &self.limits.day);
            }
        }
        let posting = Posting { run: &run, charges: &charges };
        let name = |budget: &mut Budget| {
            order.repository.as_str().clone_into(&mut budget.repository);
            budget.issue = order.issue.get();
        };
        let key = bucket::budget_issue_key(&order.repository, order.issue.get());
        let posted = self.ledger.post(&key, &posting, now, name).await?;
        self.show(Scope::Issue, &posted.budget, &self.limits.issue);
        let note = |budget: &mut Budget| {
            name(budget);
            order.job.as_str().clone_into(&mut budget.job);
            budget.worked_ms = budget.worked_ms.max(worked);
            if let Some(limits) = limits {
                budget.limits = Some(limits.message());
            }
        };
        let key = bucket::budget_job_key(&run);
        let posted = self.ledger.post(&key, &posting, now, note).await?;
        let ceiling = limits.map_or(self.limits.job, |limits| limits.ceiling);
        self.show(Scope::Job, &posted.budget, &ceiling);
        // Added to the run's sum by this process, and by no other.
        for charge in &posted.added {
            self.metrics.spent(&charge.model, &charge.spent);
        }
        journal.note_counted(newest + 1);
        Ok(())
    }

    /// Notes how long a run that spent something was worked on, once it has ended. No more than a fact for
    /// operators, so that it fails in a log line.
    pub(crate) async fn close(&self, order: &Order, worked: Duration) {
        let worked = u64::try_from(worked.as_millis()).unwrap_or(u64::MAX);
        let run = order.run();
        let note = |budget: &mut Budget| {
            if budget.spent.is_some() {
                budget.worked_ms = budget.worked_ms.max(worked);
            }
        };
        let nothing = Posting { run: &run, charges: &[] };
        let key = bucket::budget_job_key(&run);
        if let Err(pause) = self.ledger.post(&key, &nothing, (self.now)(), note).await {
            tracing::warn!(event = "budget_not_closed", why = pause.why());
        }
    }

    /// What is used up of the budgets that a run shares with others.
    pub(crate) async fn used_up(&self, order: &Order) -> Result<Option<UsedUp>, Pause> {
        let issue = self.ledger.issue(&order.repository, order.issue.get()).await?;
        self.show(Scope::Issue, &issue, &self.limits.issue);
        let of_issue = issue.spent.unwrap_or_default();
        if let Some(used_up) = self.limits.issue.used_up(Scope::Issue, &of_issue) {
            return Ok(Some(used_up));
        }
        let day = self.ledger.day((self.now)().date_naive()).await?;
        self.show(Scope::Day, &day, &self.limits.day);
        Ok(self.limits.day.used_up(Scope::Day, &day.spent.unwrap_or_default()))
    }

    /// What is used up of all budgets of a run, before a question to the model.
    pub(crate) async fn may_ask(
        &self,
        order: &Order,
        journal: &mut JobJournal,
        limits: &JobLimits,
    ) -> Result<Option<UsedUp>, Pause> {
        match limits.used_up(&self.spent(journal)?) {
            Some(used_up) => Ok(Some(used_up)),
            None => self.used_up(order).await,
        }
    }

    /// A question had no answer.
    pub(crate) fn unanswered(&self, asked: Asked) {
        self.metrics.asked(&self.model, asked);
    }

    /// What an answer costs, in US dollars; `None`: nobody knows.
    pub(crate) fn cost_usd(&self, answer: &Answer) -> Option<f64> {
        self.prices.usd_of_answer(&answer.model, &self.model, &answer.usage)
    }

    fn price(&self, paid: &Paid) -> Charge {
        let cost = self.prices.of_answer(&paid.model, &self.model, &paid.usage);
        let spent = spent::of_answer(&paid.usage, cost);
        Charge { index: paid.index, model: paid.model.clone(), spent }
    }

    fn show(&self, scope: Scope, budget: &Budget, ceiling: &Ceiling) {
        let spent = budget.spent.unwrap_or_default();
        self.metrics.used(scope, &spent, ceiling);
    }
}

/// What becomes of a job for which nothing is left. The budget of a day comes back: such a job waits for it,
/// and keeps what it has paid for. Any other ends it.
pub(crate) async fn put_off(
    shared: &Shared,
    order: &Order,
    delivery: &Delivery,
    used_up: &UsedUp,
) -> Result<Ending, Pause> {
    let now = (shared.now)();
    let is_patient = now - delivery.published < MAX_WAIT;
    if used_up.scope != Scope::Day || !is_patient {
        return Ok(Ending::gave_up("out_of_budget", format!("I gave up because {used_up}.")));
    }
    shared.budgets.metrics.waits();
    let today = now.date_naive();
    let event =
        Event { reason: "day_budget".to_owned(), detail: used_up.to_string(), ..Event::default() };
    shared.say(order, "job_waits", &format!("waits-{today}"), event).await?;
    let attempt = order.attempt;
    shared
        .jobs
        .update(&order.job, |job| {
            let is_over = matches!(job.state(), JobState::Completed | JobState::Failed);
            if !(is_over && job.attempt == attempt) {
                job.state = JobState::Queued.into();
                "waits for the budget of the next day (UTC)".clone_into(&mut job.step);
            }
        })
        .await?;
    // Looked at again before midnight: the limit may be raised meanwhile.
    let after = until_midnight(now).min(shared.settings.budget_look);
    Err(Pause::Away { after, why: used_up.to_string() })
}

/// `/metrics`, for the admin port.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state(shared)
}

/// The day's ratios are the bus's, so that they are right after midnight and after a restart.
async fn scrape(State(shared): State<Arc<Shared>>) -> Response {
    let budgets = &shared.budgets;
    let today = budgets.ledger.day((shared.now)().date_naive());
    match timeout(SCRAPE_LIMIT, today).await {
        Ok(Ok(day)) => budgets.show(Scope::Day, &day, &budgets.limits.day),
        Ok(Err(pause)) => tracing::warn!(event = "budget_unread", why = pause.why()),
        Err(_) => tracing::warn!(event = "budget_unread", why = "the bus does not answer"),
    }
    match budgets.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, chain(&error)).into_response(),
    }
}

fn until_midnight(now: DateTime<Utc>) -> Duration {
    let tomorrow = now.date_naive().checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    let midnight = tomorrow.and_time(NaiveTime::MIN).and_utc();
    (midnight - now).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(until_midnight(at("2026-12-31T23:59:30Z")), Duration::from_secs(30));
        assert_eq!(until_midnight(at("2026-12-31T00:00:00Z")), Duration::from_secs(86_400));
    }
}
