//! What the paper venue is like.

use super::latency::Latency;
use super::queue::Queue;
use serde::{Deserialize, Serialize};
use tidehelm_events::market::Cash;
use tidehelm_events::order::Category;
use tidehelm_events::time::Span;

/// The name of what follows from the same settings; it changes whenever the same settings could give other fills.
pub const MODEL_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub model: Model,
    pub latency: Latency,
    pub rates: Rates,
    pub faults: Faults,
    /// After this a reply that did not come is told as timed out.
    pub timeout: Span,
    pub margin: Option<Margin>,
    pub open_orders_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            model: Model::default(),
            latency: Latency::default(),
            rates: Rates::default(),
            faults: Faults::default(),
            timeout: Span::seconds(5),
            margin: None,
            open_orders_max: 200,
        }
    }
}

/// How orders are filled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    pub queue: Queue,
    pub fills: Fills,
    pub unseen: Unseen,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fills {
    /// By as much as traded or stands there, each print given out once.
    #[default]
    Partial,
    /// All of an order at once, whatever the size: for small orders, and to be compared with others that do so.
    Whole,
}

/// What stands at a level that the tape never told of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// Nobody knows: when the tape tells, all of it is before us.
    #[default]
    Behind,
    /// Nothing.
    Empty,
}

/// How many requests are taken a second, evenly, with so many at once; none for no limit. Cancels have their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    pub orders: Option<Rate>,
    pub cancels: Option<Rate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub a_second: u32,
    pub at_once: u32,
}

/// What goes wrong, of a thousand, by the run's seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Requests that never arrive.
    pub lost_requests_permille: u16,
    /// What was asked is done, and the reply does not come.
    pub lost_replies_permille: u16,
    /// New orders that are rejected for no reason of their own.
    pub rejects_permille: u16,
    pub reject_as: Category,
    pub cancel_rejects_permille: u16,
}

impl Default for Faults {
    fn default() -> Self {
        Faults {
            lost_requests_permille: 0,
            lost_replies_permille: 0,
            rejects_permille: 0,
            reject_as: Category::Network,
            cancel_rejects_permille: 0,
        }
    }
}

/// What open orders and positions may be worth together: so many times what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margin {
    pub deposit: Cash,
    pub leverage: u32,
}
