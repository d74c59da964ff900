//! Which conditions hold, and what must be said because of it. Asked again and again; it says only edges.

use super::command::Command;
use super::name::{RuleId, Subject};
use super::rule::{Rule, When};
use crate::account::protection::Standing;
use crate::account::{Account, Connection};
use crate::desk::Desk;
use crate::endpoint::Status;
use crate::id::{EndpointId, Role, StreamId};
use crate::reason::RuntimeStatus;
use crate::time::{Span, Timestamp};
use crate::truth::Truth;
use crate::view::Fold;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// No more is said at once; the rest follows with the next look.
pub const COMMANDS_MAX: usize = 200;
/// A part of fewer requests than this says nothing.
const REQUESTS_MIN: u64 = 10;
/// Over so long the part of failed requests is reckoned, from counts that are this far apart.
const WINDOW: Span = Span::seconds(300);
const SAMPLE_EVERY: Span = Span::seconds(15);

/// What only the machine knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Durable events that the read models do not show yet.
    pub lag: u64,
    pub log_failed_at: Option<Timestamp>,
    pub disks: Vec<Disk>,
    /// Since when there is something that no snapshot has.
    pub unsaved_since: Option<Timestamp>,
    /// When the last backup was made, 0 where there never was one; none where nobody looks for backups.
    pub backup_at: Option<Timestamp>,
    /// Of these nothing can be said now. What was raised of them stays.
    pub unknown: BTreeSet<Subject>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    pub name: String,
    pub free_percent: u8,
    pub free_mib: u64,
}

/// Remembers since when conditions hold of which the log does not say it. A restart forgets that, and so gives grace.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    since: BTreeMap<(RuleId, Subject), Timestamp>,
    samples: VecDeque<(Timestamp, Counts)>,
    /// Of the first look.
    began: Option<Timestamp>,
    silent: BTreeMap<(When, Subject), Option<Timestamp>>,
}

/// Failed and all requests of each endpoint.
type Counts = BTreeMap<EndpointId, (u64, u64)>;

/// A condition that holds.
struct Holding {
    subject: Subject,
    detail: String,
    /// None: since it was seen first.
    since: Option<Timestamp>,
}

fn holding(subject: Subject, since: impl Into<Option<Timestamp>>, detail: String) -> Holding {
    Holding { subject, detail, since: since.into() }
}

impl Watch {
    /// What must be said now.
    pub fn look(&mut self, fold: &Fold, machine: &Machine, now: Timestamp) -> Vec<Command> {
        let unused = super::Alerts::default();
        let alerts = fold.truth.alerts().unwrap_or(&unused);
        self.began = self.began.or(Some(now));
        self.sample(fold, now);
        self.listen(fold, now);
        let (mut raise, mut held) = (Vec::new(), BTreeMap::new());
        let rules = alerts.rules();
        for (id, rule) in &rules {
            if !rule.is.enabled {
                continue;
            }
            for found in self.holding(&rule.is, fold, machine, now) {
                if !rule.is.covers(&found.subject) {
                    continue;
                }
                let key = (id.clone(), found.subject.clone());
                let since = found.since.or_else(|| self.since.get(&key).copied()).unwrap_or(now);
                held.insert(key, since);
                let long_enough = now.since(since) >= Span::seconds(i64::from(rule.is.hold_seconds));
                let new = alerts.is_raised(id, &found.subject).is_none();
                if long_enough && new && !alerts.is_quiet(id, &found.subject, now) {
                    let Holding { subject, detail, .. } = found;
                    raise.push(Command::Raise { rule: id.clone(), subject, detail, since });
                }
            }
        }
        let over = alerts.raised().filter(|(rule, subject, _)| {
            let holds = held.contains_key(&((*rule).clone(), (*subject).clone()));
            let rule = rules.get(*rule).filter(|rule| rule.is.enabled && rule.is.covers(subject));
            !holds && !rule.is_some_and(|rule| self.is_unknown(&rule.is, subject, fold, machine, now))
        });
        let clear = over.map(|(rule, subject, _)| Command::Clear { rule: rule.clone(), subject: subject.clone() });
        let mutes = alerts.mutes.values().any(|mute| mute.of.until <= now).then_some(Command::EndMutes);
        let said = clear.chain(mutes).chain(raise).take(COMMANDS_MAX).collect();
        self.since = held;
        said
    }

    fn holding(&self, rule: &Rule, fold: &Fold, machine: &Machine, now: Timestamp) -> Vec<Holding> {
        let (truth, limit) = (&fold.truth, rule.threshold);
        let unopened = Desk::default();
        let desk = truth.desk().unwrap_or(&unopened);
        match rule.when {
            When::AccountOffline
            | When::TerminalLost
            | When::AccountNotConnected
            | When::AccountWarned
            | When::LimitNear
            | When::LimitHit => accounts(truth)
                .flat_map(|account| of_account(rule.when, account, truth, desk.listening_since))
                .map(|found| self.not_before(rule.when, found))
                .collect(),
            When::DeskStopped => desk
                .stopped
                .iter()
                .map(|stop| {
                    let detail = format!("STOP, as far as `{}`: {}", stop.degree.as_str(), stop.reason);
                    holding(Subject::of("desk", "stop"), stop.since, detail)
                })
                .collect(),
            When::EndpointOffline => offline_endpoints(truth, desk.listening_since),
            When::EndpointErrors => self.failing_endpoints(fold, limit),
            When::ClientRequests => busy_clients(fold, limit, now),
            When::ProjectionLag if machine.lag >= limit => {
                vec![holding(Subject::of("desk", "pages"), None, format!("{} events behind the log", machine.lag))]
            }
            When::LogFailing => machine
                .log_failed_at
                .iter()
                .filter(|at| now.since(**at) < seconds(limit))
                .map(|at| holding(Subject::of("desk", "log"), *at, format!("the last failure was at {at}")))
                .collect(),
            When::DiskLow => machine
                .disks
                .iter()
                .filter(|disk| u64::from(disk.free_percent) < limit)
                .map(|disk| {
                    let detail = format!("{} % free, {} MiB", disk.free_percent, disk.free_mib);
                    holding(Subject::of("disk", &disk.name), None, detail)
                })
                .collect(),
            When::SnapshotOld => {
                old("snapshots", machine.unsaved_since.map(|at| at.max(desk.listening_since)), limit, 60, now)
            }
            When::BackupOld => old("backups", machine.backup_at, limit, 3600, now),
            When::Quarantined => truth
                .quarantined()
                .map(|stream| {
                    holding(
                        Subject::of("stream", &stream.to_string()),
                        None,
                        "its records are not believed; see `tidehelm verify`".into(),
                    )
                })
                .collect(),
            When::ProjectionLag => vec![],
        }
    }

    /// Whether nobody can say now that it does not hold.
    fn is_unknown(&self, rule: &Rule, subject: &Subject, fold: &Fold, machine: &Machine, now: Timestamp) -> bool {
        let watched = self.began.map_or(Span(0), |began| now.since(began));
        match rule.when {
            // A failure from before the start is known to nobody any more.
            When::LogFailing => watched < seconds(rule.threshold),
            When::EndpointErrors => watched < WINDOW && self.requests_seen(subject, fold) < REQUESTS_MIN,
            _ => machine.unknown.contains(subject),
        }
    }

    fn requests_seen(&self, subject: &Subject, fold: &Fold) -> u64 {
        let Some((_, before)) = self.samples.front() else { return 0 };
        let shares = fold.views.endpoints.shares().filter_map(|(id, share)| Some((id?, share.tally.total())));
        let of = |id: EndpointId| Subject::of("endpoint", &id.to_string());
        let seen =
            |(id, total): (EndpointId, u64)| total.saturating_sub(before.get(&id).map_or(0, |(_, total)| *total));
        shares.filter(|(id, _)| of(*id) == *subject).map(seen).sum()
    }

    /// Since when somebody misses those who are silent. Where one was silent before that, it counts from when it was seen first; else
    /// from when it was heard last, as the log says.
    fn listen(&mut self, fold: &Fold, now: Timestamp) {
        let listening_since = fold.truth.desk().map_or(Timestamp::ZERO, |desk| desk.listening_since);
        let mut silent = BTreeMap::new();
        for account in accounts(&fold.truth) {
            let stream = account.stream();
            let subject = Subject::of(stream.kind(), &stream.key());
            for when in [When::AccountOffline, When::TerminalLost] {
                let is_silent = match when {
                    When::TerminalLost => account.connection == Connection::Lost,
                    _ => !account.is_online(),
                };
                if !is_silent {
                    continue;
                }
                let key = (when, subject.clone());
                let missed = of_account(when, account, &fold.truth, listening_since).pop().map(|found| {
                    match (self.silent.get(&key), found.since) {
                        (Some(None), _) => now,
                        (Some(Some(before)), since) => since.map_or(*before, |since| since.max(*before)),
                        (None, since) => since.unwrap_or(now),
                    }
                });
                silent.insert(key, missed);
            }
        }
        self.silent = silent;
    }

    fn not_before(&self, when: When, found: Holding) -> Holding {
        match self.silent.get(&(when, found.subject.clone())) {
            Some(Some(since)) => Holding { since: Some(*since), ..found },
            _ => found,
        }
    }

    /// Counts of each endpoint, a few of the last minutes.
    fn sample(&mut self, fold: &Fold, now: Timestamp) {
        if self.samples.back().is_some_and(|(at, _)| now.since(*at) < SAMPLE_EVERY) {
            return;
        }
        let of = |(id, share): (Option<EndpointId>, &crate::view::endpoints::Share)| {
            Some((id?, (share.tally.failed(), share.tally.total())))
        };
        self.samples.push_back((now, fold.views.endpoints.shares().filter_map(of).collect()));
        while self.samples.len() > 1 && self.samples.front().is_some_and(|(at, _)| now.since(*at) > WINDOW) {
            self.samples.pop_front();
        }
    }

    fn failing_endpoints(&self, fold: &Fold, percent: u64) -> Vec<Holding> {
        let Some((_, before)) = self.samples.front() else { return vec![] };
        let mut failing = Vec::new();
        for (id, share) in fold.views.endpoints.shares() {
            let Some(id) = id else { continue };
            let (failed_before, total_before) = before.get(&id).copied().unwrap_or_default();
            let failed = share.tally.failed().saturating_sub(failed_before);
            let total = share.tally.total().saturating_sub(total_before);
            if total >= REQUESTS_MIN && u128::from(failed) * 100 >= u128::from(total) * u128::from(percent) {
                let detail = format!("{}: {failed} of {total} requests failed", name_of(&fold.truth, id));
                failing.push(holding(Subject::of("endpoint", &id.to_string()), None, detail));
            }
        }
        failing
    }
}

fn accounts(truth: &Truth) -> impl Iterator<Item = &Account> {
    truth.accounts().map(|(_, account)| account).filter(|account| !truth.is_quarantined(&account.stream()))
}

fn of_account(when: When, account: &Account, truth: &Truth, listening_since: Timestamp) -> Vec<Holding> {
    let stream = account.stream();
    let subject = || Subject::of(stream.kind(), &stream.key());
    let silent_since = account.last_heartbeat_at().map(|last| last.max(listening_since));
    match when {
        When::AccountOffline if account.identity.is_some() && account.intent && !account.is_online() => {
            let detail = match account.last_heartbeat_at() {
                Some(last) => format!("its terminal was last heard at {last}"),
                None => "its terminal was never heard".into(),
            };
            vec![holding(subject(), silent_since, detail)]
        }
        When::TerminalLost if account.connection == Connection::Lost => match needed(account, truth) {
            Some(why) => vec![holding(subject(), silent_since, why)],
            None => vec![],
        },
        When::AccountNotConnected
            if account.intent && account.is_online() && account.status != RuntimeStatus::Connected =>
        {
            vec![holding(subject(), None, account.warnings.codes().join(", "))]
        }
        When::AccountWarned if account.noticed != crate::reason::Warnings::NONE => {
            vec![holding(subject(), None, account.noticed.codes().join(", "))]
        }
        When::LimitNear | When::LimitHit => {
            limits(when, account).into_iter().map(|(since, detail)| holding(subject(), since, detail)).collect()
        }
        _ => vec![],
    }
}

/// What is at stake while the terminal is away.
fn needed(account: &Account, truth: &Truth) -> Option<String> {
    match account.role {
        Role::Slave => {
            let book = account.slave_book.as_ref()?;
            let copies: usize = book.copies.values().map(|copies| copies.len()).sum();
            let orders = book.outbox.len();
            (copies + orders > 0).then(|| format!("it holds {copies} copies and has {orders} orders under way"))
        }
        Role::Master => {
            let slaves = truth.slaves_of(&account.id).count();
            (account.intent && slaves > 0).then(|| format!("{slaves} slaves follow it"))
        }
    }
}

/// Since when, and which; one for all limits of an account that stand alike.
fn limits(when: When, account: &Account) -> Option<(Timestamp, String)> {
    let standings = account.protection.as_ref()?.standings.iter();
    let found = standings.filter_map(|(limit, standing)| match (when, standing) {
        (When::LimitNear, Standing::Near { since }) => Some((*since, limit.to_string())),
        (When::LimitHit, Standing::Hit(hit)) => Some((hit.since, format!("{limit}: {} of {}", hit.used, hit.allowed))),
        _ => None,
    });
    let found: Vec<(Timestamp, String)> = found.collect();
    let since = found.iter().map(|(since, _)| *since).min()?;
    Some((since, found.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ")))
}

fn offline_endpoints(truth: &Truth, listening_since: Timestamp) -> Vec<Holding> {
    let offline = truth.endpoints().filter(|endpoint| endpoint.health.status == Status::Offline);
    let of = |endpoint: &crate::endpoint::Endpoint| {
        let why = endpoint.last_error.as_ref().map_or_else(String::new, |error| format!(": {}", error.detail));
        let detail = format!("{}{why}", name_of(truth, endpoint.id));
        holding(Subject::of("endpoint", &endpoint.id.to_string()), endpoint.health.since.max(listening_since), detail)
    };
    offline.map(of).collect()
}

fn name_of(truth: &Truth, id: EndpointId) -> String {
    let settings = truth.endpoint(id).and_then(|endpoint| endpoint.settings.as_ref());
    settings.map_or_else(|| id.to_string(), |settings| settings.name.clone())
}

fn busy_clients(fold: &Fold, limit: u64, now: Timestamp) -> Vec<Holding> {
    let hour = now.micros().div_euclid(3_600_000_000);
    let clients = fold.views.endpoints.clients().ranking().into_iter();
    let asked = clients.map(|(name, client)| (name, client.hours.get(&hour).copied().unwrap_or(0)));
    let busy = asked.filter(|(_, count)| *count >= limit);
    busy.map(|(name, count)| holding(Subject::of("client", name), None, format!("{count} requests in this hour")))
        .collect()
}

fn old(what: &str, at: Option<Timestamp>, limit: u64, unit: i64, now: Timestamp) -> Vec<Holding> {
    let Some(at) = at else { return vec![] };
    let long = seconds(limit.saturating_mul(unit.unsigned_abs()));
    let detail = if at == Timestamp::ZERO { "there never was one".into() } else { format!("none since {at}") };
    match now.since(at) >= long {
        true => vec![holding(Subject::of("desk", what), at + long, detail)],
        false => vec![],
    }
}

fn seconds(count: u64) -> Span {
    Span::seconds(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Streams that alerts are told of by name, for whoever shows them.
pub fn stream_of(subject: &Subject) -> Option<StreamId> {
    subject.as_str().parse().ok()
}
