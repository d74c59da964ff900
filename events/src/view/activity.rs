//! How much happened: totals of each kind, refusals by code, and the last hour by minutes.

use super::View;
use crate::answer::Answer;
use crate::envelope::Record;
use crate::event::Event;
use crate::truth::Truth;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MINUTES: i64 = 60;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Events by the number of their kind.
    pub kinds: BTreeMap<u16, u64>,
    /// Refused commands by code.
    pub refusals: BTreeMap<String, u64>,
    pub commands: u64,
    pub reactions: u64,
    /// Events by minute since 1970, the last 60 minutes in which something happened.
    pub minutes: BTreeMap<i64, u64>,
    current: (i64, u64),
}

impl View for Activity {
    const NAME: &'static str = "activity";

    fn apply(&mut self, record: &Record, _: &Truth) {
        *self.kinds.entry(record.event.kind().number).or_default() += 1;
        self.reactions += u64::from(record.causation.is_some());
        let minute = record.recorded_at.0.div_euclid(60_000_000);
        if self.current.0 != minute {
            self.turn_to(minute);
        }
        self.current.1 += 1;
        if let Event::Answered(answered) = &record.event {
            self.commands += 1;
            if let Answer::Refused(denial) = &answered.answer {
                *self.refusals.entry(denial.code.clone()).or_default() += 1;
            }
        }
    }
}

impl Activity {
    /// The last 60 minutes up to `minute`, zero-filled, oldest first.
    pub fn hour(&self, minute: i64) -> Vec<(i64, u64)> {
        let count = |minute| match self.current {
            (current, count) if current == minute => count,
            _ => self.minutes.get(&minute).copied().unwrap_or(0),
        };
        (minute - MINUTES + 1..=minute).map(|minute| (minute, count(minute))).collect()
    }

    fn turn_to(&mut self, minute: i64) {
        if self.current.1 > 0 {
            *self.minutes.entry(self.current.0).or_default() += self.current.1;
        }
        self.current = (minute, self.minutes.remove(&minute).unwrap_or(0));
        while self.minutes.len() as i64 > MINUTES {
            self.minutes.pop_first();
        }
    }
}
