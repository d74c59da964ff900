//! One stream as a step machine: a state, a time and an order make events, effects and an answer.

use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use tidehelm_events::answer::{Answer, BodyHash, Denial, Known, Status};
use tidehelm_events::desk::{self, Desk};
use tidehelm_events::event::Event;
use tidehelm_events::id::{CommandId, Principal, StreamId, StreamNo, Version};
use tidehelm_events::react::Effect;
use tidehelm_events::strategy;
use tidehelm_events::stream::Decision;
use tidehelm_events::time::Timestamp;
pub use tidehelm_events::truth::Command;
use tidehelm_events::truth::{Times, Truth};
use uuid::Uuid;

/// A command on its way to a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub to: StreamId,
    pub command: Command,
    pub by: Principal,
    /// With one, the answer is recorded and a repeat gets it again.
    pub id: Option<CommandId>,
    pub body: BodyHash,
    /// The revision that the sender saw.
    pub expected: Option<Version>,
    pub occurred_at: Timestamp,
    pub received_at: Timestamp,
}

impl Order {
    /// An order without an id: nobody repeats it, and only what it changes is recorded.
    pub fn once(to: StreamId, by: Principal, command: Command, now: Timestamp) -> Self {
        Order { to, command, by, id: None, body: BodyHash(0), expected: None, occurred_at: now, received_at: now }
    }

    /// What the desk wants of itself.
    pub fn own(command: desk::Command, now: Timestamp) -> Self {
        Order::once(StreamId::Desk, Principal::Desk, Command::Desk(command), now)
    }
}

/// What an order comes to. Nothing has happened yet.
#[derive(Debug)]
pub enum Step {
    /// Answered before, or under a rule that leaves no trace: a repeat, a reused id.
    Said(Answer),
    /// To be appended: events of the stream, and whether they changed anything.
    Decided { events: Vec<Event>, effects: Vec<Effect> },
    /// No, and to be recorded where the order has an id.
    Refused(Denial),
}

/// What a desk that is not open yet goes by.
static UNOPENED: LazyLock<Desk> = LazyLock::new(Desk::default);

/// Refuses in this order: answered before, quarantined, stale, then what the stream says. `stream` is the number of the stream
/// that the order is for, if it has one: it is looked up once for each order, since this is most of what a heartbeat costs.
pub fn step(truth: &Truth, order: &Order, stream: Option<StreamNo>, now: Timestamp) -> Step {
    if let Some(answer) = said(truth, order, now) {
        return Step::Said(answer);
    }
    if truth.is_quarantined(&order.to) {
        return Step::Refused(quarantined(&order.to));
    }
    if let Some(denial) = stale(truth, order) {
        return Step::Refused(denial);
    }
    let times = Times { now, received_at: order.received_at.min(now), sent_at: order.occurred_at };
    let seen = truth.seen(times, &UNOPENED);
    let decide = |command: &Command| truth.decide(&order.to, command, stream, &seen);
    let decided = match &order.to {
        StreamId::Strategy(_) => withstood(|| decide(&order.command))
            .unwrap_or_else(|why| decide(&Command::Strategy(strategy::Command::Fail { why }))),
        _ => decide(&order.command),
    };
    match decided {
        Ok(Decision { events, effects }) => Step::Decided { events, effects },
        Err(denial) => Step::Refused(denial),
    }
}

/// What a strategy's code comes to, or how it failed. It only reads, so that nothing is half done, and nobody else is touched.
fn withstood<R>(decide: impl FnOnce() -> R) -> Result<R, Box<str>> {
    std::panic::catch_unwind(AssertUnwindSafe(decide)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("it gave no reason").into()
    })
}

/// The earlier answer under the order's id. Refusals of streams that do not exist or are not believed are kept by the desk.
fn said(truth: &Truth, order: &Order, now: Timestamp) -> Option<Answer> {
    let id = order.id?;
    for (stream, id) in [(&order.to, id), (&StreamId::Desk, kept_by_desk(order, id))] {
        let Some(slot) = truth.slot_of(stream).filter(|_| !truth.is_quarantined(stream)) else { continue };
        match slot.answers.look_up(&order.by, id, order.body, now) {
            Known::New => {}
            Known::Repeat(answer) => return Some(answer.clone()),
            Known::OtherBody => return Some(Answer::Refused(reused(id))),
            Known::Expired => return Some(Answer::Refused(expired(id))),
        }
    }
    None
}

/// The id under which the desk keeps an answer for a stream that does not exist. `Terminal` is somebody only together with an
/// account, and two terminals may well use the same key.
pub(crate) fn kept_by_desk(order: &Order, id: CommandId) -> CommandId {
    match (&order.by, &order.to) {
        (Principal::Terminal, StreamId::Account(..)) => CommandId(Uuid::new_v5(&id.0, order.to.to_string().as_bytes())),
        _ => id,
    }
}

fn stale(truth: &Truth, order: &Order) -> Option<Denial> {
    let expected = order.expected?;
    let found = truth.slot_of(&order.to).map_or(Version(0), |slot| slot.revision());
    (found != expected).then(|| Denial {
        code: "revision_stale".into(),
        detail: format!("it was changed meanwhile: you saw revision {expected}, it is at {found}; read it again"),
        status: Status::Stale,
        field: None,
    })
}

fn quarantined(stream: &StreamId) -> Denial {
    Denial {
        code: "stream_quarantined".into(),
        detail: format!("{stream} is quarantined: its records are not believed; see `tidehelm verify`"),
        status: Status::Conflict,
        field: None,
    }
}

fn reused(id: CommandId) -> Denial {
    Denial {
        code: "command_id_reused".into(),
        detail: format!("command id {id} was used for something else; use a new one for each command"),
        status: Status::Invalid,
        field: None,
    }
}

fn expired(id: CommandId) -> Denial {
    Denial {
        code: "answer_expired".into(),
        detail: format!(
            "command {id} was answered long ago; look at the state, and send a new id if it is still wanted"
        ),
        status: Status::Conflict,
        field: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategy_that_fails_says_how() {
        assert_eq!(withstood(|| 7), Ok(7));
        assert_eq!(withstood(|| -> u8 { panic!("no {}", "mercy") }), Err("no mercy".into()));
        assert_eq!(withstood(|| -> u8 { panic!("out") }), Err("out".into()));
        assert_eq!(withstood(|| -> u8 { std::panic::panic_any(7) }), Err("it gave no reason".into()));
    }
}
