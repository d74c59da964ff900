//! What happened in a world: its last lines to read, all of its lines as one hash, and how much of each.

use super::agenda::Micros;
use std::collections::VecDeque;
use std::fmt::{Arguments, Write};
use tidehelm_events::commit::Hash;

const KEPT: usize = 40;

#[derive(Debug)]
pub struct History {
    hasher: blake3::Hasher,
    last: VecDeque<String>,
    loud: bool,
    line: String,
}

impl History {
    /// A loud one keeps every line.
    pub fn new(loud: bool) -> Self {
        History { hasher: blake3::Hasher::new(), last: VecDeque::new(), loud, line: String::new() }
    }

    pub fn note(&mut self, now: Micros, what: Arguments<'_>) {
        self.line.clear();
        let (seconds, micros) = (now / 1_000_000, now % 1_000_000);
        if writeln!(self.line, "{seconds:>5}.{micros:06} {what}").is_err() {
            unreachable!("a line that cannot be written to memory");
        }
        self.hasher.update(self.line.as_bytes());
        if !self.loud && self.last.len() >= KEPT {
            self.last.pop_front();
        }
        self.last.push_back(self.line.trim_end().to_string());
    }

    pub fn hash(&self) -> Hash {
        Hash(*self.hasher.finalize().as_bytes())
    }
    pub fn lines(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident $needed:literal,)*) => {
        /// How much happened.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64),* }

        impl Counts {
            pub fn add(&mut self, other: &Counts) {
                $( self.$name += other.$name; )*
            }
            /// Name, count, and whether a run of hundreds of seeds without any proves nothing.
            pub fn rows(&self) -> Vec<(&'static str, u64, bool)> {
                vec![$( (stringify!($name), self.$name, $needed) ),*]
            }
        }
    };
}

counts! {
    steps true,
    events true,
    commits true,
    heartbeats true,
    commands true,
    replies true,
    refusals true,
    repeats true,
    reused_ids true,
    stale_revisions true,
    expired_answers true,
    faults_told true,
    overloads true,
    effects true,
    reactions true,
    lost_messages true,
    doubled_messages true,
    starts true,
    crashes true,
    graceful_stops true,
    crashes_in_commit true,
    crashes_in_commit_written true,
    store_refusals true,
    in_doubt true,
    in_doubt_written true,
    late_writes true,
    stalls true,
    takeovers true,
    fenced_writers true,
    commits_with_debts true,
    debts_made_good true,
    clock_steps_forward true,
    clock_steps_back true,
    steps_adopted true,
    went_offline true,
    snapshots_taken true,
    snapshots_used true,
    bad_snapshots_ignored true,
    full_replays true,
    states_compared true,
    quiet_heartbeats true,
    epochs true,
    superseded true,
    reconnections true,
    terminal_crashes true,
    signals true,
    signals_repeated true,
    signal_gaps false,
    signals_refused false,
    growths true,
    partial_closes true,
    position_snapshots true,
    position_snapshots_refused true,
    decisions true,
    copies_begun true,
    orders true,
    orders_offered true,
    orders_offered_again true,
    corrections true,
    results_told true,
    rejections true,
    partial_fills true,
    expired_orders true,
    unproven_orders true,
    pending_fills true,
    by_hand true,
    state_differences true,
    stops true,
    limits_hit true,
    links_wound_down true,
    copies_settled true,
    probes true,
    stale_probes true,
    quiet_probes true,
    endpoint_status_changes true,
    requests true,
    requests_acknowledged true,
    requests_told_again true,
    requests_unheard true,
}
