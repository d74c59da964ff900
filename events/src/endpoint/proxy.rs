//! The proxy as a whole: what it goes by, and the requests that came to no endpoint.

use super::command::Refusal;
use super::event::{Event, ProxyChanged};
use super::request::RequestFinished;
use super::told::Told;
use crate::account::protection::TradingDay;
use crate::id::Version;
use crate::stream::{Decision, Seen, Stamp, Stream};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    pub settings: Box<ProxySettings>,
    /// How far each run of a proxy told the requests that came to no endpoint.
    pub told: Told,
    /// Version of the last event that a person caused.
    pub revision: Version,
}

/// What people set about the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxySettings {
    /// The time zone whose days are counted, by its name in the IANA list.
    pub zone: String,
    /// Names that clients may use, and the model that is meant.
    pub aliases: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ProxyCommand {
    Change(Box<ProxySettings>),
    /// A request that came to no endpoint was answered.
    FinishRequest(Box<RequestFinished>),
    /// Several at once, in the order of their numbers: all of them are in the log after it, or none.
    FinishRequests(Vec<RequestFinished>),
}

const ALIASES_MAX: usize = 256;
const NAME_MAX: usize = 128;

impl Default for ProxySettings {
    fn default() -> Self {
        ProxySettings { zone: "UTC".into(), aliases: BTreeMap::new() }
    }
}

impl ProxySettings {
    /// The days that are counted.
    pub fn day(&self) -> TradingDay {
        TradingDay { zone: self.zone.clone(), ..TradingDay::default() }
    }

    /// The model that is meant by a name.
    pub fn meant<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    fn check(&self) -> Result<(), Refusal> {
        let invalid = |field, why: String| Err(Refusal::SettingInvalid { field, why });
        if let Err(error) = self.day().validate() {
            return invalid("zone", error.why);
        }
        if self.aliases.len() > ALIASES_MAX {
            return invalid("aliases", format!("at most {ALIASES_MAX}"));
        }
        for (alias, model) in &self.aliases {
            if !is_name(alias) || !is_name(model) {
                return invalid("aliases", "names of 1 to 128 characters, no control characters".into());
            }
            if self.aliases.contains_key(model) {
                return invalid("aliases", format!("`{alias}` means `{model}`, which is an alias itself"));
            }
        }
        Ok(())
    }
}

impl Stream for Proxy {
    type Command = ProxyCommand;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: ProxyCommand, _: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        match command {
            ProxyCommand::Change(settings) => {
                settings.check()?;
                match settings == self.settings {
                    true => Ok(Decision::nothing()),
                    false => Ok(Decision::of(Event::ProxyChanged(ProxyChanged { settings }))),
                }
            }
            ProxyCommand::FinishRequest(finished) if self.told.has(&finished) => Ok(Decision::nothing()),
            ProxyCommand::FinishRequest(finished) => {
                Ok(Decision::of(Event::RequestFinished(Box::new(finished.bounded()))))
            }
            ProxyCommand::FinishRequests(finished) => {
                let mut told = self.told.clone();
                let mut events = Vec::with_capacity(finished.len());
                for one in finished {
                    if !told.has(&one) {
                        told.note(&one);
                        events.push(Event::RequestFinished(Box::new(one.bounded())));
                    }
                }
                Ok(Decision { events, effects: Vec::new() })
            }
        }
    }

    fn evolve(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::ProxyChanged(changed) => {
                self.settings = changed.settings.clone();
                self.revision = at.version;
            }
            Event::RequestFinished(finished) => self.told.note(finished),
            other => unreachable!("a {} in the stream of the proxy", other.kind().name),
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
