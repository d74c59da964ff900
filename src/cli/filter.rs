//! Which events are wanted, and how one is shown in a line.

use super::output::{CliError, Column};
use crate::http::events::Filter as Wanted;
use crate::walk::Seen;
use clap::Args;
use serde_json::Value;
use tidehelm_events::envelope::Envelope;

#[derive(Args, Clone, Default)]
pub struct Filter {
    /// Only of this stream: `desk`, `master/ACCOUNT`, `slave/ACCOUNT`, or a kind of stream: `master`
    #[arg(long)]
    pub stream: Option<String>,
    /// Only these kinds: `a,b`; all but some: `!a,b`
    #[arg(long)]
    pub kind: Option<String>,
    /// Only of this class: business, volume or telemetry
    #[arg(long)]
    pub class: Option<String>,
    /// Only what this principal wanted: `user:ann`, `operator`, `desk`, `terminal`
    #[arg(long)]
    pub by: Option<String>,
}

impl Filter {
    pub fn wanted(&self) -> Result<Wanted, CliError> {
        let wanted = Wanted {
            stream: self.stream.clone(),
            kind: self.kind.clone(),
            class: self.class.clone(),
            by: self.by.clone(),
            ..Wanted::default()
        };
        wanted.check().map_err(|problem| {
            CliError::usage(format!("--{}: {}", problem.field.unwrap_or_default(), problem.detail))
        })?;
        Ok(wanted)
    }

    /// As a server wants to be asked.
    pub fn query(&self) -> String {
        let given = [("stream", &self.stream), ("kind", &self.kind), ("class", &self.class), ("by", &self.by)];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given.map(|(name, value)| format!("&{name}={}", encoded(value))).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.query().is_empty()
    }
}

/// A value as it stands in a URL.
pub fn encoded(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

pub fn passes(wanted: &Wanted, seen: &Seen<'_>) -> bool {
    wanted.passes(seen.record, seen.stream)
}

pub const COLUMNS: &[Column] = &[
    Column { header: "position", field: "position" },
    Column { header: "recorded at", field: "at" },
    Column { header: "stream", field: "stream" },
    Column { header: "event", field: "kind" },
    Column { header: "by", field: "by" },
    Column { header: "what", field: "payload" },
];

/// The event for a table, with its time as people read it.
pub fn line(envelope: &Envelope) -> Value {
    let mut value = serde_json::to_value(envelope).unwrap_or_default();
    value["at"] = envelope.recorded_at.to_string().into();
    value
}
