//! Whether a decision worked the statuses out again: most heartbeats, signals and results do not.

use super::command::Command;
use super::event::Event;

impl Command {
    /// These are the events that it led to.
    pub fn evaluated<'a>(&self, mut events: impl Iterator<Item = &'a Event>) -> bool {
        match self {
            Command::Signal(_) | Command::Quote(_) | Command::Stop { .. } => false,
            Command::Heartbeat(_) => events.nth(1).is_some(),
            Command::Copy(_) | Command::Result { .. } | Command::Snapshot(_) => events.any(Event::matters),
            Command::Register(_)
            | Command::Unregister
            | Command::SetIntent { .. }
            | Command::NoteStaleEpoch
            | Command::CreateGroup { .. }
            | Command::ChangeGroup { .. }
            | Command::RemoveGroup
            | Command::ChangeSettings(_)
            | Command::Link { .. }
            | Command::SwitchLink { .. }
            | Command::ChangeLink { .. }
            | Command::Unlink { .. }
            | Command::Ack { .. }
            | Command::Rearm(_)
            | Command::CheckSilence
            | Command::NoteMaster(_)
            | Command::NoteGroupRemoved { .. } => events.next().is_some(),
        }
    }
}

impl Event {
    /// Of a slave's book, but statuses depend on it.
    fn matters(&self) -> bool {
        matches!(self, Event::WarningRaised(_) | Event::WarningCleared(_) | Event::LinkEnded(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_heartbeat_that_changes_nothing_is_no_evaluation() {
        let beat = sample::heartbeat(true);
        let events = [Event::HeartbeatSeen(beat.clone()), Event::Connected(super::super::Connected {})];
        let command = Command::Heartbeat(beat);
        assert!(!command.evaluated(events[..1].iter()));
        assert!(command.evaluated(events.iter()));
    }

    /// The journal counts by this what the decisions do: a status never changes without having been worked out.
    #[test]
    fn no_status_changes_unevaluated() {
        let status =
            sample::account_events().into_iter().find(|event| matches!(event, Event::StatusChanged(_))).unwrap();
        let warned =
            sample::account_events().into_iter().find(|event| matches!(event, Event::WarningRaised(_))).unwrap();
        let copied = Command::Copy([].into());
        assert!(!copied.evaluated([&status].into_iter()), "a decision alone changes no status");
        assert!(copied.evaluated([&warned, &status].into_iter()));
        assert!(Command::CheckSilence.evaluated([&status].into_iter()));
        assert!(!Command::CheckSilence.evaluated([].into_iter()));
    }
}
