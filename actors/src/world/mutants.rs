//! Known bugs, kept so that the world proves that it would see them.

#[cfg(test)]
use crate::node::{Command, Order, Step};
#[cfg(test)]
use tidehelm_events::endpoint::{self, Changed, Registered, Status};
#[cfg(test)]
use tidehelm_events::event::Event;

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant { $($(#[$doc])* $name),* }

        impl Mutant {
            pub const ALL: &'static [Mutant] = &[$(Mutant::$name),*];
        }
    };
}

mutants! {
    /// Callers hear the answer when the commit is sealed.
    RepliesBeforeDurable,
    /// Terminals get their configuration when the commit is sealed.
    EffectsBeforeDurable,
    /// A restart does not remember what was answered.
    AnswersForgotten,
    /// A restart does not make good what was owed.
    DebtsLost,
    /// A restart works off again what was worked off.
    DebtsRepeated,
    /// A commit in doubt counts as failed, and the state that was built on it stays.
    DoubtKept,
    /// A commit that failed is forgotten, and the state that was built on it stays.
    FailureKept,
    /// A commit that met another writer's counts as written.
    ConflictIsSuccess,
    /// A slave that is offline is not told about its master.
    OfflineSlaveSkipped,
    /// The desk's time is the wall clock, also where that goes back.
    WallClock,
    /// A heartbeat counts from when it was worked off.
    ProcessingTime,
    /// A snapshot is taken while reactions are owed.
    SnapshotWithDebts,
    /// A snapshot is believed without a look at its hash.
    SnapshotUnchecked,
    /// The store takes commits of any epoch.
    EpochIgnored,
    /// A doubled message is decided again.
    DoubledIsNew,
    /// Silence before the start counts.
    StartUnnoted,
    /// Silence in a gap of the clock counts.
    StepUnnoted,
    /// Nobody looks whether an id was used for something else.
    ReuseUnnoticed,
    /// A commit takes all that is there.
    BatchUnbounded,
    /// An order is offered as soon as it is decided.
    OrdersBeforeDurable,
    /// An order is offered under another id after a restart.
    OrderIdChanged,
    /// A restart does not offer again what is outstanding.
    OutboxForgotten,
    /// The desk says that it has a result, and has not.
    ResultUnheard,
    /// A terminal never tells a result.
    ResultDropped,
    /// A terminal does what it is offered, although it did it before.
    ExecutedIdsForgotten,
    /// A terminal lets closes run out.
    LateCloseExpires,
    /// What a growth was too small for is not kept for the next one.
    GrowthForgotten,
    /// The desk takes a signal with the number that it expects.
    SignalGapAccepted,
    /// A slave gets the orders of accounts that begin with its name.
    WrongSlaveByPrefix,
    /// What a replaced registration says is believed.
    EpochUnchecked,
    /// Requests of which nobody knows whether they are in the log are told again under new numbers.
    ToldAnew,
    /// A server that starts numbers its requests as the one before did.
    RunRepeated,
    /// An endpoint's outage is not recorded.
    OutageHidden,
    /// What a probe heard counts, whatever became of the endpoint meanwhile.
    RevisionUnchecked,
    /// Nobody looks whether another endpoint has the name or the address.
    GivenTwice,
}

/// What a mutant makes of decisions.
#[cfg(test)]
pub fn bent_decisions(mutant: Option<Mutant>) -> Option<fn(Step, &Order) -> Step> {
    match mutant {
        Some(Mutant::OutageHidden) => Some(without_outages),
        Some(Mutant::GivenTwice) => Some(given_twice),
        _ => None,
    }
}

#[cfg(test)]
fn without_outages(mut step: Step, _: &Order) -> Step {
    if let Step::Decided { events, .. } = &mut step {
        events.retain(|event| match event {
            Event::Endpoint(endpoint::Event::StatusChanged(change)) => change.new != Status::Offline,
            _ => true,
        });
    }
    step
}

#[cfg(test)]
fn given_twice(step: Step, order: &Order) -> Step {
    let Step::Refused(denial) = step else { return step };
    let taken = matches!(denial.code.as_ref(), "name_taken" | "url_taken");
    let event = match order.command.clone() {
        Command::Endpoint(endpoint::Command::Register(settings)) if taken => {
            settings.checked().map(|settings| endpoint::Event::Registered(Registered { settings: Box::new(settings) }))
        }
        Command::Endpoint(endpoint::Command::Change(settings)) if taken => {
            settings.checked().map(|settings| endpoint::Event::Changed(Changed { settings: Box::new(settings) }))
        }
        _ => return Step::Refused(denial),
    };
    match event {
        Ok(event) => Step::Decided { events: vec![Event::Endpoint(event)], effects: Vec::new() },
        Err(_) => Step::Refused(denial),
    }
}
