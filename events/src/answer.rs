//! What commands were answered. A repeat gets the same answer, a refusal included; another body under the same id is refused.

use crate::id::{CommandId, Position, Principal};
use crate::stream::Stamp;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How many answers a stream keeps, and for how long.
pub const ANSWERS_MAX: usize = 256;
pub const ANSWER_AGE_MAX: Span = Span::hours(24);
/// Ids whose answers are gone are still known for a while, so that a late repeat is not taken for something new.
const SPENT_MAX: usize = 1024;

/// The event: one for every command with an id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub principal: Principal,
    pub command_id: CommandId,
    pub body: BodyHash,
    pub answer: Answer,
}

/// Hash of what was asked, so that an id cannot be used for two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BodyHash(pub u64);

impl BodyHash {
    pub fn of(bytes: &[u8]) -> Self {
        let hash = blake3::hash(bytes);
        BodyHash(u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or([0; 8])))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Accepted; the events stand at these positions, or nothing had to change where both are the same as before.
    Done {
        first: Position,
        last: Position,
        changed: bool,
    },
    Refused(Denial),
}

/// A refusal as it is told to the caller: the same words on a repeat, whatever later builds would say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Stable, `snake_case`.
    pub code: String,
    /// A sentence that says what to do.
    pub detail: String,
    pub status: Status,
    /// The field of the body that is at fault, where one is.
    pub field: Option<String>,
}

/// What kind of no it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    NotFound,
    Conflict,
    /// `If-Match` named another revision.
    Stale,
    Invalid,
    Forbidden,
}

/// The window of answers of one stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    kept: BTreeMap<(Principal, CommandId), Kept>,
    order: VecDeque<(Principal, CommandId)>,
    spent: VecDeque<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    body: BodyHash,
    answer: Answer,
    at: Timestamp,
}

/// What the window says about a command.
#[derive(Debug, PartialEq)]
pub enum Known<'a> {
    New,
    Repeat(&'a Answer),
    OtherBody,
    Expired,
}

impl Answers {
    pub fn look_up(&self, principal: &Principal, id: CommandId, body: BodyHash, now: Timestamp) -> Known<'_> {
        match self.kept.get(&(principal.clone(), id)) {
            Some(kept) if kept.body != body => Known::OtherBody,
            Some(kept) if now.since(kept.at) > ANSWER_AGE_MAX => Known::Expired,
            Some(kept) => Known::Repeat(&kept.answer),
            None if self.spent.contains(&spent_key(principal, id)) => Known::Expired,
            None => Known::New,
        }
    }

    pub(crate) fn remember(&mut self, answered: &Answered, at: &Stamp) {
        let key = (answered.principal.clone(), answered.command_id);
        let kept = Kept { body: answered.body, answer: answered.answer.clone(), at: at.recorded_at };
        assert!(self.kept.insert(key.clone(), kept).is_none(), "command {} is answered twice", answered.command_id);
        self.order.push_back(key);
        while self.order.len() > ANSWERS_MAX || self.oldest_is_older_than(at.recorded_at - ANSWER_AGE_MAX) {
            self.forget_oldest();
        }
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn oldest_is_older_than(&self, limit: Timestamp) -> bool {
        self.order.front().and_then(|key| self.kept.get(key)).is_some_and(|kept| kept.at < limit)
    }

    fn forget_oldest(&mut self) {
        let Some(key) = self.order.pop_front() else { return };
        self.kept.remove(&key);
        self.spent.push_back(spent_key(&key.0, key.1));
        if self.spent.len() > SPENT_MAX {
            self.spent.pop_front();
        }
    }
}

fn spent_key(principal: &Principal, id: CommandId) -> u64 {
    let mut bytes = principal.to_string().into_bytes();
    bytes.extend_from_slice(id.0.as_bytes());
    BodyHash::of(&bytes).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Version;

    fn stamp(at: Timestamp) -> Stamp {
        Stamp { position: Position(1), version: Version(1), received_at: at, recorded_at: at }
    }
    fn answered(id: u128) -> Answered {
        Answered {
            principal: Principal::Operator,
            command_id: CommandId(uuid::Uuid::from_u128(id)),
            body: BodyHash(7),
            answer: Answer::Done { first: Position(1), last: Position(1), changed: true },
        }
    }

    #[test]
    fn a_repeat_gets_the_same_answer_and_only_its_owner_gets_it() {
        let mut answers = Answers::default();
        let one = answered(1);
        answers.remember(&one, &stamp(Timestamp(5)));
        let look = |principal: &Principal, body| answers.look_up(principal, one.command_id, body, Timestamp(6));
        assert_eq!(look(&Principal::Operator, BodyHash(7)), Known::Repeat(&one.answer));
        assert_eq!(look(&Principal::Operator, BodyHash(8)), Known::OtherBody);
        assert_eq!(look(&Principal::Desk, BodyHash(7)), Known::New);
    }

    #[test]
    fn past_the_window_an_answer_is_expired_and_not_new() {
        let mut answers = Answers::default();
        for id in 0..=ANSWERS_MAX as u128 {
            answers.remember(&answered(id), &stamp(Timestamp(id as i64)));
        }
        assert_eq!(answers.len(), ANSWERS_MAX);
        let look = |id, now| answers.look_up(&Principal::Operator, answered(id).command_id, BodyHash(7), now);
        assert_eq!(look(0, Timestamp(999)), Known::Expired);
        assert!(matches!(look(1, Timestamp(999)), Known::Repeat(_)));
        assert_eq!(look(1, Timestamp(999) + ANSWER_AGE_MAX), Known::Expired);
    }
}
