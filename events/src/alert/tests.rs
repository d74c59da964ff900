//! Rules by tables, edges by properties.

mod any_order;
mod conditions;
mod edges;

use super::watch::{Machine, Watch};
use super::*;
use crate::answer::Denial;
use crate::id::Position;
use crate::sample::alert::{channel, channel_id, pattern, rule_id, subject};
use crate::sample::{self, log::Log, reason};
use crate::time::Span;

/// A desk with one channel, and whoever looks at it.
struct Case {
    log: Log,
    watch: Watch,
    machine: Machine,
}

impl Case {
    fn new() -> Self {
        let mut case = Case { log: Log::new(), watch: Watch::default(), machine: Machine::default() };
        case.says(Command::SetChannel { id: channel_id("ops"), channel: Box::new(channel()), expected: None }).unwrap();
        case
    }
    fn says(&mut self, command: Command) -> Result<usize, Denial> {
        self.log.alerts(command)
    }
    fn passes(&mut self, seconds: i64) {
        self.log.now = self.log.now + Span::seconds(seconds);
    }
    /// Looks, does what must be done, and tells the kinds of events that this made.
    fn looks(&mut self) -> Vec<&'static str> {
        let before = self.log.records.len();
        for command in self.watch.look(&self.log.fold, &self.machine, self.log.now) {
            self.says(command).unwrap();
        }
        self.log.records[before..].iter().map(|record| record.event.kind().name).collect()
    }
    fn alerts(&self) -> &Alerts {
        self.log.fold.truth.alerts().unwrap()
    }
    /// Rule and subject of what is raised.
    fn raised(&self) -> Vec<String> {
        self.alerts().raised().map(|(rule, subject, _)| format!("{rule} {subject}")).collect()
    }
    fn only(&self) -> Position {
        let mut raised = self.alerts().raised();
        let (_, _, alert) = raised.next().expect("something is raised");
        assert!(raised.next().is_none(), "one alert, not {:?}", self.raised());
        alert
    }
    fn outbox(&self) -> Vec<String> {
        self.alerts().outbox.keys().map(|id| format!("{}.{}", id.edge.as_str(), id.channel)).collect()
    }
    /// As a restart does: what was only in memory is gone.
    fn restarts(&mut self) {
        self.watch = Watch::default();
        let desk_time = self.log.now;
        let started = crate::desk::ServerStarted { node: "n".into(), build: "b".into(), desk_time };
        self.log.desk(crate::desk::Command::NoteStart(started)).unwrap();
    }
    fn stop(&mut self) {
        let (degree, stop) = (crate::copy::StopDegree::Pause, uuid::Uuid::from_u128(1));
        self.log.desk(crate::desk::Command::Stop { degree, reason: reason("news"), stop }).unwrap();
    }
    fn resume(&mut self) {
        self.log.desk(crate::desk::Command::Resume { reason: reason("over") }).unwrap();
    }
    fn change(&mut self, id: &str, change: impl FnOnce(&mut Rule)) {
        let mut rule = self.log.fold.truth.alerts().unwrap().rule(&rule_id(id)).unwrap().is;
        change(&mut rule);
        self.says(Command::SetRule { id: rule_id(id), rule, expected: None }).unwrap();
    }
}
