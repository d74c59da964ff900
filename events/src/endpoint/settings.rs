//! What people set about an endpoint.

use super::command::Refusal;
use super::url::normalise;
use crate::id::CredentialId;
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// All of it, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub name: String,
    pub base_url: String,
    /// None: what it answers says what it is.
    pub kind: Option<Kind>,
    /// The row of the vault in which what opens it lies sealed.
    pub secret: Option<CredentialId>,
    pub tags: BTreeSet<String>,
    pub notes: String,
    /// Empty: whatever is asked of it.
    pub capabilities: BTreeSet<Capability>,
    pub health_interval_seconds: u32,
    pub probe_timeout_seconds: u32,
    pub inference_timeout_seconds: u32,
    /// So many successes in a row bring it back.
    pub success_threshold: u32,
    /// After so many failures in a row it is offline.
    pub failure_threshold: u32,
    /// 100 is usual; one with 200 is worth twice as much.
    pub weight: u32,
    /// Requests at a time; zero: no limit.
    pub in_flight_max: u32,
}

/// What kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Xllm,
    LmStudio,
    Ollama,
    Vllm,
    LlamaCpp,
    OpenaiCompatible,
    Http,
}

/// What a request may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    Chat,
    Completions,
    Embeddings,
    Responses,
    Vision,
    Tools,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            name: String::new(),
            base_url: String::new(),
            kind: None,
            secret: None,
            tags: BTreeSet::new(),
            notes: String::new(),
            capabilities: BTreeSet::new(),
            health_interval_seconds: 30,
            probe_timeout_seconds: 5,
            inference_timeout_seconds: 120,
            success_threshold: 2,
            failure_threshold: 2,
            weight: 100,
            in_flight_max: 0,
        }
    }
}

impl Kind {
    pub const ALL: [Kind; 7] =
        [Kind::Xllm, Kind::LmStudio, Kind::Ollama, Kind::Vllm, Kind::LlamaCpp, Kind::OpenaiCompatible, Kind::Http];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Xllm => "xllm",
            Kind::LmStudio => "lm_studio",
            Kind::Ollama => "ollama",
            Kind::Vllm => "vllm",
            Kind::LlamaCpp => "llama_cpp",
            Kind::OpenaiCompatible => "openai_compatible",
            Kind::Http => "http",
        }
    }

    /// What is asked to see that it is there.
    pub fn probe_path(self) -> &'static str {
        match self {
            Kind::Xllm => "/api/system",
            Kind::LmStudio => "/api/v1/models",
            Kind::Ollama => "/api/tags",
            Kind::Vllm | Kind::LlamaCpp | Kind::OpenaiCompatible => "/v1/models",
            Kind::Http => "/",
        }
    }

    /// Where its models are listed; none for what has none.
    pub fn models_path(self) -> Option<&'static str> {
        match self {
            Kind::Xllm | Kind::Vllm | Kind::LlamaCpp | Kind::OpenaiCompatible => Some("/v1/models"),
            Kind::LmStudio => Some("/api/v1/models"),
            Kind::Ollama => Some("/api/tags"),
            Kind::Http => None,
        }
    }
}

const TAGS_MAX: usize = 32;
const NOTES_MAX: usize = 2_000;

impl Settings {
    /// As they are kept. Refuses the first field that is at fault, in the order in which they stand.
    pub fn checked(mut self) -> Result<Self, Refusal> {
        let invalid = |field, why: &str| Refusal::SettingInvalid { field, why: why.into() };
        self.name = self.name.trim().into();
        if !is_line(&self.name, 64) {
            return Err(invalid("name", "1 to 64 characters, no control characters"));
        }
        self.base_url = normalise(&self.base_url).map_err(|why| invalid("base_url", why))?;
        if self.tags.len() > TAGS_MAX || !self.tags.iter().all(|tag| is_line(tag, 32) && tag.trim() == tag) {
            return Err(invalid("tags", "at most 32, each of 1 to 32 characters without spaces around them"));
        }
        let control = |c: char| c.is_control() && c != '\n' && c != '\t';
        if self.notes.chars().count() > NOTES_MAX || self.notes.contains(control) {
            return Err(invalid("notes", "at most 2000 characters, no control characters"));
        }
        for (field, value, least, most) in self.numbers() {
            if !(least..=most).contains(&value) {
                return Err(invalid(field, &format!("{least} to {most}")));
            }
        }
        if self.probe_timeout_seconds > self.health_interval_seconds {
            return Err(invalid("probe_timeout_seconds", "not longer than `health_interval_seconds`"));
        }
        Ok(self)
    }

    fn numbers(&self) -> [(&'static str, u32, u32, u32); 7] {
        [
            ("health_interval_seconds", self.health_interval_seconds, 5, 3_600),
            ("probe_timeout_seconds", self.probe_timeout_seconds, 1, 60),
            ("inference_timeout_seconds", self.inference_timeout_seconds, 1, 3_600),
            ("success_threshold", self.success_threshold, 1, 100),
            ("failure_threshold", self.failure_threshold, 1, 100),
            ("weight", self.weight, 1, 10_000),
            ("in_flight_max", self.in_flight_max, 0, 100_000),
        ]
    }

    /// It may be asked for this.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.is_empty() || self.capabilities.contains(&capability)
    }
    pub fn health_interval(&self) -> Span {
        Span::seconds(self.health_interval_seconds.into())
    }
    pub fn probe_timeout(&self) -> Span {
        Span::seconds(self.probe_timeout_seconds.into())
    }
    pub fn inference_timeout(&self) -> Span {
        Span::seconds(self.inference_timeout_seconds.into())
    }
}

fn is_line(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
