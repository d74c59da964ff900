//! How bad this world is: drawn once from the seed, so that some worlds are harsh in one way and kind in another.

use super::agenda::{MILLI, Micros, SECOND};
use super::rng::Rng;
use crate::journal::Limits;
use tidehelm_events::time::Span;

#[derive(Debug, Clone)]
pub struct Climate {
    pub limits: Limits,
    pub tick: Micros,
    pub masters: u64,
    pub slaves: u64,
    pub lose: u64,
    pub double: u64,
    pub late: u64,
    pub late_max: Micros,
    pub store_refuses: u64,
    pub store_doubts: u64,
    pub store_stalls: u64,
    pub stall_max: Micros,
    pub pause: u64,
    pub crash_after_step: u64,
    pub crash_every: Micros,
    pub takeover_every: Micros,
    pub jump_every: Micros,
    pub full_every: Micros,
    pub snapshot: u64,
    pub spoil: u64,
    pub trade_every: Micros,
    pub by_hand_every: Micros,
    pub broker_slow: Micros,
    pub rejects: u64,
    pub partial_fills: u64,
    /// Comments are not what the terminal wrote there.
    pub comments_rewritten: u64,
    pub upstream_every: Micros,
    pub request_every: Micros,
}

impl Climate {
    pub fn draw(rng: &mut Rng) -> Self {
        let limits = Limits {
            batch_events_max: rng.pick(&[3, 5, 5, 8, 30, 20_000]),
            open_events_max: rng.pick(&[25, 200, 100_000, 100_000]),
            telemetry_wait: Span::millis(rng.pick(&[1, 20, 200])),
        };
        Climate {
            limits,
            tick: rng.pick(&[100, 250, 500, 1_000]) * MILLI,
            masters: 2 + rng.below(3),
            slaves: 2 + rng.below(5),
            lose: rng.pick(&[0, 20, 100, 300]),
            double: rng.pick(&[0, 50, 200]),
            late: rng.pick(&[0, 50, 200]),
            late_max: rng.pick(&[1, 5, 15]) * SECOND,
            store_refuses: rng.pick(&[0, 5, 30]),
            store_doubts: rng.pick(&[0, 10, 50]),
            store_stalls: rng.pick(&[0, 5, 20]),
            stall_max: rng.pick(&[1, 5, 40]) * SECOND,
            pause: rng.pick(&[0, 2, 10]),
            crash_after_step: rng.pick(&[0, 0, 1, 3]),
            crash_every: rng.pick(&[10, 30, 1000]) * SECOND,
            takeover_every: rng.pick(&[20, 60, 1000]) * SECOND,
            jump_every: rng.pick(&[20, 60, 1000]) * SECOND,
            full_every: rng.pick(&[30, 1000]) * SECOND,
            snapshot: rng.pick(&[0, 50, 300]),
            spoil: rng.pick(&[0, 200, 500]),
            trade_every: rng.pick(&[1, 3, 8]) * SECOND,
            by_hand_every: rng.pick(&[10, 100, 1000]) * SECOND,
            broker_slow: rng.pick(&[50, 400, 3_000]) * MILLI,
            rejects: rng.pick(&[0, 0, 50, 200]),
            partial_fills: rng.pick(&[0, 0, 100, 300]),
            comments_rewritten: rng.pick(&[0, 0, 500]),
            upstream_every: rng.pick(&[4, 10, 40]) * SECOND,
            request_every: rng.pick(&[100, 300, 2_000]) * MILLI,
        }
    }
}
