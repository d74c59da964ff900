//! One event of each kind of the guard, with no two fields alike.

use super::*;
use crate::id::{Principal, StrategyId};
use crate::sample::{START, Word, reason, user, word};
use crate::time::Span;

fn strategy(name: &str) -> StrategyId {
    StrategyId::new(name).unwrap()
}

pub(crate) fn samples() -> Vec<Event> {
    let by = Principal::User(user("anna"));
    vec![
        Event::Enrolled(Enrolled { strategy: strategy("btc_maker"), flags: Flags::EXIT_ONLY, by: Principal::Operator }),
        Event::Withdrawn(Withdrawn { strategy: strategy("eth_ping") }),
        Event::Changed(Changed {
            scope: Scope::Strategy(strategy("btc_maker")),
            flags: Flags { entry: true, exit: false },
            lock: false,
            note: Some(reason("the London session")),
            by: by.clone(),
            expires_at: Some(START + Span::hours(4)),
        }),
        Event::Expired(Expired { scope: Scope::Desk }),
        Event::Stopped(Stopped { degree: Degree::CloseOnly, reason: reason("the venue is slow"), by }),
        Event::Resumed(Resumed { reason: reason("it is quick again"), by: Principal::Desk }),
        Event::Beaten(Beaten {}),
    ]
}

pub(crate) fn words(words: &mut Vec<Word>) {
    words.extend(Degree::ALL.map(|degree| word("stop_degree", &degree)));
    words.extend(Why::ALL.map(|why| word("guard_why", &why)));
    words.extend([Knowing::Fresh, Knowing::Stale, Knowing::Unavailable].map(|how| word("positions_known", &how)));
    words.extend([Scope::Desk, Scope::Strategy(strategy("a"))].map(|scope| word("control_scope", &scope)));
}
