//! One strategy, whichever shape it has, and what is the same for both.

use super::command::{Command, Refusal};
use super::event::{EndpointBound, Event, Failed, Restarted};
use super::maker::Maker;
use super::taker::Taker;
use crate::id::{EndpointId, MarketId, StrategyId, Version};
use crate::stream::Stamp;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Strategy {
    pub id: StrategyId,
    /// None: nobody set it up.
    pub shape: Option<Shape>,
    /// What it needs to be in service.
    pub endpoint: Option<EndpointId>,
    /// When its code failed and how; it decides nothing until somebody restarts it.
    pub failed: Option<Failure>,
    /// Version of the last event that a person caused; what `If-Match` compares.
    pub revision: Version,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Maker(Box<Maker>),
    Taker(Box<Taker>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub at: Timestamp,
    pub why: Box<str>,
}

impl Strategy {
    pub fn new(id: StrategyId) -> Self {
        Strategy { id, shape: None, endpoint: None, failed: None, revision: Version(0) }
    }

    pub fn maker(&self) -> Option<&Maker> {
        match &self.shape {
            Some(Shape::Maker(maker)) => Some(maker),
            Some(Shape::Taker(_)) | None => None,
        }
    }
    pub fn taker(&self) -> Option<&Taker> {
        match &self.shape {
            Some(Shape::Taker(taker)) => Some(taker),
            Some(Shape::Maker(_)) | None => None,
        }
    }
    pub fn market(&self) -> Option<&MarketId> {
        match self.shape.as_ref()? {
            Shape::Maker(maker) => maker.market.as_ref(),
            Shape::Taker(taker) => taker.market.as_ref(),
        }
    }
    /// It was set up and not given up.
    pub fn is_open(&self) -> bool {
        match &self.shape {
            Some(Shape::Maker(maker)) => maker.is_open(),
            Some(Shape::Taker(taker)) => taker.is_there(),
            None => false,
        }
    }
    /// `maker`, or the name of the taker's family.
    pub fn kind(&self) -> &'static str {
        match &self.shape {
            Some(Shape::Maker(_)) => "maker",
            Some(Shape::Taker(taker)) => taker.set().map_or("taker", |set| set.settings.family.as_str()),
            None => "none",
        }
    }

    /// What is the same for both shapes.
    pub(crate) fn decide(&self, command: &Command, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        let there = || if self.shape.is_some() { Ok(()) } else { Err(Refusal::StrategyUnknown(self.id.clone())) };
        there()?;
        Ok(match command {
            Command::BindEndpoint { endpoint, .. } if *endpoint == self.endpoint => vec![],
            Command::BindEndpoint { endpoint, by } => {
                vec![Event::EndpointBound(EndpointBound { endpoint: *endpoint, by: by.clone() })]
            }
            Command::Fail { .. } if self.failed.is_some() => vec![],
            Command::Fail { why } => {
                let why = why.chars().filter(|c| !c.is_control()).take(WHY_MAX).collect::<String>().into();
                vec![Event::Failed(Failed { why })]
            }
            Command::Restart { .. } if self.failed.as_ref().is_none_or(|failed| failed.at > now) => {
                return Err(Refusal::NotFailed(self.id.clone()));
            }
            Command::Restart { reason, by } => {
                vec![Event::Restarted(Restarted { reason: reason.clone(), by: by.clone() })]
            }
            Command::Maker(_) | Command::Taker(_) | Command::Hear(_) | Command::Tick { .. } => vec![],
        })
    }

    pub(crate) fn evolve(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::EndpointBound(bound) => (self.endpoint, self.revision) = (bound.endpoint, at.version),
            Event::Failed(failed) => self.failed = Some(Failure { at: at.recorded_at, why: failed.why.clone() }),
            Event::Restarted(_) => (self.failed, self.revision) = (None, at.version),
        }
    }

    pub(crate) fn evolve_maker(&mut self, event: &super::maker::Event, at: &Stamp) {
        use super::maker::Event as Fact;
        use crate::stream::Stream;
        let id = self.id.clone();
        let shape = self.shape.get_or_insert_with(|| Shape::Maker(Box::new(Maker::new(id))));
        let Shape::Maker(maker) = shape else { unreachable!("{} is a taker", self.id) };
        maker.evolve(event, at);
        match event {
            Fact::Opened(_) | Fact::ParametersSet(_) | Fact::ParametersActivated(_) | Fact::Closed(_) => {
                self.revision = at.version;
            }
            Fact::ModeChanged(_) | Fact::ReasonsChanged(_) | Fact::Decided(_) | Fact::Drained(_) | Fact::Ticked(_) => {}
        }
    }

    pub(crate) fn evolve_taker(&mut self, event: &super::taker::Event, at: &Stamp) {
        use super::taker::Event as Fact;
        let id = self.id.clone();
        let shape = self.shape.get_or_insert_with(|| Shape::Taker(Box::new(Taker::new(id))));
        let Shape::Taker(taker) = shape else { unreachable!("{} is a maker", self.id) };
        taker.evolve(event, at);
        match event {
            Fact::Registered(_)
            | Fact::ParamsPut(_)
            | Fact::ParamsActivated(_)
            | Fact::Removed(_)
            | Fact::LegRestarted(_) => self.revision = at.version,
            Fact::Ticked(_)
            | Fact::EntryProposed(_)
            | Fact::ExitMarked(_)
            | Fact::ExitDecided(_)
            | Fact::OrderHeard(_)
            | Fact::TradeClosed(_)
            | Fact::TradeCorrected(_)
            | Fact::LegFailed(_) => {}
        }
    }
}

const WHY_MAX: usize = 200;
