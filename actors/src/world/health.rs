//! How an endpoint is, by the text of the specification alone: the desk's own code is not asked.

use super::agenda::SECOND;
use tidehelm_events::endpoint::Settings;
use tidehelm_events::time::Timestamp;

/// A success of a request mends an error no sooner than this after it began.
const ERROR_STANDS: i64 = SECOND;

#[derive(Debug, Clone)]
pub struct Patient {
    status: &'static str,
    bad_in_row: u32,
    good_since_outage: u32,
    changed_at: Timestamp,
    to_fail: u32,
    to_return: u32,
    address: String,
}

impl Patient {
    pub fn new(settings: &Settings, at: Timestamp) -> Self {
        Patient {
            status: "pending",
            bad_in_row: 0,
            good_since_outage: 0,
            changed_at: at,
            to_fail: settings.failure_threshold,
            to_return: settings.success_threshold,
            address: settings.base_url.clone(),
        }
    }

    pub fn status(&self) -> &'static str {
        self.status
    }
    pub fn bad_in_row(&self) -> u32 {
        self.bad_in_row
    }

    /// At another address it is somebody of whom nothing is known.
    pub fn set(&mut self, settings: &Settings, at: Timestamp) {
        match settings.base_url == self.address {
            true => (self.to_fail, self.to_return) = (settings.failure_threshold, settings.success_threshold),
            false => *self = Patient::new(settings, at),
        }
    }

    pub fn reset(&mut self, at: Timestamp) {
        (self.bad_in_row, self.good_since_outage) = (0, 0);
        self.turns("pending", at);
    }

    pub fn succeeds(&mut self, probe: bool, at: Timestamp) {
        self.bad_in_row = 0;
        match self.status {
            "pending" => self.turns("online", at),
            "error" if probe || at.since(self.changed_at).0 >= ERROR_STANDS => self.turns("online", at),
            // It comes back by probes only, through half open.
            "offline" if probe => {
                self.good_since_outage = 1;
                let proved = self.to_return <= 1;
                self.turns(if proved { "online" } else { "half_open" }, at);
            }
            "half_open" => {
                self.good_since_outage += 1;
                if self.good_since_outage >= self.to_return {
                    self.turns("online", at);
                }
            }
            _ => {}
        }
    }

    pub fn fails(&mut self, at: Timestamp) {
        self.bad_in_row += 1;
        let enough = self.bad_in_row >= self.to_fail;
        match self.status {
            "pending" | "online" | "error" if enough => self.turns("offline", at),
            "online" => self.turns("error", at),
            "half_open" => self.turns("offline", at),
            _ => {}
        }
    }

    fn turns(&mut self, status: &'static str, at: Timestamp) {
        (self.status, self.changed_at) = (status, at);
    }
}
