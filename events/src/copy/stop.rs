//! How far STOP goes.

use serde::{Deserialize, Serialize};

/// Each degree does what the one before does, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopDegree {
    /// Nothing is opened.
    Pause,
    /// Pending orders are cancelled.
    Cancel,
    /// Everything that was copied is closed.
    Flatten,
}

impl StopDegree {
    pub fn as_str(self) -> &'static str {
        match self {
            StopDegree::Pause => "pause",
            StopDegree::Cancel => "cancel",
            StopDegree::Flatten => "flatten",
        }
    }
}
