//! Copying: from what a master did to what its slaves are told, with every number on the way.
//!
//! Pure arithmetic over facts that are handed in. Reading order: what people set (`settings`), the story (`plan`) and its
//! questions in their order (`filter`, `symbol`, `reverse`, `volume`, `share`), what comes of it (`rule`, `step`), what ends a
//! copy without its master (`wind`, `stop`), and what a slave holds (`book`).

pub mod book;
mod exact;
pub mod filter;
pub mod plan;
pub mod reverse;
pub mod rule;
pub mod settings;
pub mod share;
pub mod step;
pub mod stop;
pub mod symbol;
pub mod volume;
pub mod wind;

pub use plan::{Ask, Block, Exposure, Funds, Held, LinkFacts, MasterFacts, Origin, Plan, Quote, SlaveFacts, plan};
pub use rule::{Rule, Verdict};
pub use settings::{Effective, Invalid, Layer, Overrides, resolve, validate};
pub use share::{MasterLots, master_after};
pub use step::{Explanation, Step};
pub use stop::StopDegree;
