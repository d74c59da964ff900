//! Copying: from what a master did to what its slaves are told, with every number on the way.
//!
//! Pure arithmetic over facts that are handed in. Reading order: what people set (`settings`), what a decision rests on (`ask`),
//! the story (`plan`) and its questions in their order (`timing`, `filter`, `symbol`, `reverse`, `levels`, `volume`, `limits`; for
//! closes `share`), what comes of it (`rule`, `step`), what ends a copy without its master (`wind`, `stop`), and what a slave
//! holds (`book`).

pub mod ask;
pub mod book;
mod exact;
mod filter;
mod levels;
mod limits;
pub mod plan;
mod reverse;
pub mod rule;
pub mod settings;
pub mod share;
pub mod step;
pub mod stop;
pub mod symbol;
mod timing;
pub mod volume;
pub mod wind;

pub use ask::{Ask, Block, Exposure, Funds, Held, LinkFacts, MasterFacts, Origin, Quote, SlaveFacts};
pub use plan::{LOGIC, Plan, deadline, plan};
pub use rule::{Rule, Verdict};
pub use settings::{Effective, Field, Invalid, Layer, Overrides, Set, WindDown, fields, resolve, validate};
pub use share::{MasterLots, master_after};
pub use step::{Explanation, Step};
pub use stop::StopDegree;

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tests;
