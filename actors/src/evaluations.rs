//! How often statuses were worked out, and what for: what the desk says of its status engine.

use tidehelm_events::account::{self, Account};
use tidehelm_events::event::Event;
use tidehelm_events::id::Role;
use tidehelm_events::react::Effect;

/// What made the desk work a status out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Heartbeat,
    Register,
    ConfigRequest,
    Unregister,
    Timeout,
    /// A person switched an account, a group or a link.
    ApiToggle,
    /// A person changed something else: settings, links, groups.
    ApiChange,
    /// Another stream: a master's status, a trade that could not be copied.
    Reaction,
}

impl Source {
    pub const ALL: [Source; 8] = [
        Source::Heartbeat,
        Source::Register,
        Source::ConfigRequest,
        Source::Unregister,
        Source::Timeout,
        Source::ApiToggle,
        Source::ApiChange,
        Source::Reaction,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Source::Heartbeat => "heartbeat",
            Source::Register => "register",
            Source::ConfigRequest => "config_request",
            Source::Unregister => "unregister",
            Source::Timeout => "timeout",
            Source::ApiToggle => "api_toggle",
            Source::ApiChange => "api_change",
            Source::Reaction => "reaction",
        }
    }

    /// None for what never touches a status.
    fn of(command: &account::Command) -> Option<Source> {
        use account::Command;
        match command {
            Command::Signal(_) | Command::Quote(_) | Command::Stop { .. } => None,
            Command::Heartbeat(_) => Some(Source::Heartbeat),
            Command::Register(_) | Command::NoteStaleEpoch => Some(Source::Register),
            Command::Unregister => Some(Source::Unregister),
            Command::CheckSilence => Some(Source::Timeout),
            Command::SetIntent { .. } | Command::SwitchLink { .. } => Some(Source::ApiToggle),
            Command::CreateGroup { .. }
            | Command::ChangeGroup { .. }
            | Command::RemoveGroup
            | Command::ChangeSettings(_)
            | Command::Link { .. }
            | Command::ChangeLink { .. }
            | Command::Unlink { .. }
            | Command::Rearm(_) => Some(Source::ApiChange),
            Command::NoteMaster(_)
            | Command::NoteGroupRemoved { .. }
            | Command::Copy(_)
            | Command::Result { .. }
            | Command::Snapshot(_)
            | Command::Ack { .. } => Some(Source::Reaction),
        }
    }
}

/// Counts by source, since the journal began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evaluations {
    pub master: [Count; Source::ALL.len()],
    pub slave: [Count; Source::ALL.len()],
    /// Configurations that were made for slaves.
    pub slave_bundles: [u64; Source::ALL.len()],
    /// Masters of the slave that was looked at last.
    pub last_cluster_size: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub total: u64,
    /// Of them: what they rest on could not be had.
    pub failed: u64,
}

impl Evaluations {
    pub fn of(&self, role: Role, source: Source) -> Count {
        match role {
            Role::Master => self.master[source as usize],
            Role::Slave => self.slave[source as usize],
        }
    }

    /// A command led to these events and effects. True where a status was worked out.
    pub fn decided(&mut self, role: Role, command: &account::Command, events: &[Event], effects: &[Effect]) -> bool {
        let Some(source) = Source::of(command) else { return false };
        let bundles = effects.iter().filter(|effect| matches!(effect, Effect::ConfigDue { .. })).count() as u64;
        if role == Role::Slave {
            self.slave_bundles[source as usize] += bundles;
        }
        let of_account = events.iter().filter_map(|event| match event {
            Event::Account(event) => Some(event),
            _ => None,
        });
        let evaluated = command.evaluated(of_account);
        self.count(role, source).total += u64::from(evaluated);
        evaluated
    }

    /// As many masters as the slave has after an evaluation.
    pub fn cluster(&mut self, account: &Account) {
        if account.role == Role::Slave {
            self.last_cluster_size = account.members().count() as u64;
        }
    }

    /// The stream is not believed, so that nothing could be worked out.
    pub fn unresolvable(&mut self, role: Role, command: &account::Command) {
        if let Some(source) = Source::of(command) {
            let count = self.count(role, source);
            count.total += 1;
            count.failed += 1;
        }
    }

    fn count(&mut self, role: Role, source: Source) -> &mut Count {
        match role {
            Role::Master => &mut self.master[source as usize],
            Role::Slave => &mut self.slave[source as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Journal, Limits};
    use crate::node::{Command, Order};
    use crate::restore::Restorer;
    use tidehelm_events::commit::Head;
    use tidehelm_events::id::{AccountId, NodeId, Principal, StreamId};
    use tidehelm_events::time::Timestamp;
    use tidehelm_events::view::Fold;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    fn account(id: &str) -> AccountId {
        AccountId::new(id).unwrap()
    }

    fn journal(quarantined: &[StreamId]) -> Journal<()> {
        let restored = Restorer::new(Fold::default(), quarantined.iter().cloned()).finish();
        Journal::new(restored, Head::default(), NodeId(uuid::Uuid::from_u128(1)), Limits::default())
    }

    fn submit(journal: &mut Journal<()>, to: &StreamId, command: account::Command) {
        let order = Order::once(to.clone(), Principal::Operator, Command::Account(command), NOW);
        journal.submit(order, (), NOW).unwrap();
    }

    fn link(master: &str) -> account::Command {
        account::Command::Link { master: account(master), enabled: true, settings: Box::default() }
    }

    fn count(journal: &Journal<()>, role: Role, source: Source) -> (u64, u64) {
        let Count { total, failed } = journal.tally().evaluations.of(role, source);
        (total, failed)
    }

    #[test]
    fn an_evaluation_counts_for_what_caused_it() {
        let mut journal = journal(&[]);
        let slave = StreamId::slave(&account("S_1"));
        submit(&mut journal, &slave, link("M_1"));
        submit(&mut journal, &slave, link("M_2"));
        assert_eq!(count(&journal, Role::Slave, Source::ApiChange), (2, 0));
        assert_eq!(count(&journal, Role::Slave, Source::Reaction), (2, 0), "it is told its masters' statuses");
        let evaluations = journal.tally().evaluations;
        assert_eq!(evaluations.last_cluster_size, 2);
        assert!(evaluations.slave_bundles[Source::ApiChange as usize] >= 2, "{evaluations:?}");
        let switch = account::Command::SwitchLink { master: account("M_1"), enabled: false, expected: None };
        submit(&mut journal, &slave, switch.clone());
        submit(&mut journal, &slave, switch);
        assert_eq!(count(&journal, Role::Slave, Source::ApiToggle), (1, 0), "the second one changed nothing");
        assert_eq!([Role::Master, Role::Slave].map(|role| count(&journal, role, Source::Heartbeat)), [(0, 0); 2]);
    }

    #[test]
    fn an_evaluation_fails_where_the_stream_is_not_believed() {
        let slave = StreamId::slave(&account("S_1"));
        let mut journal = journal(std::slice::from_ref(&slave));
        submit(&mut journal, &slave, link("M_1"));
        assert_eq!(count(&journal, Role::Slave, Source::ApiChange), (1, 1));
        assert_eq!(journal.tally().evaluations.slave_bundles, [0; Source::ALL.len()]);
    }
}
