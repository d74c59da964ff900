//! What can happen to a maker.

use super::mode::Mode;
use super::parameter::Parameters;
use super::reason::Why;
use super::state::SetId;
use crate::event::events;
use crate::id::{MarketId, Principal, StrategyId};
use crate::market::{Bps, Features, Price, Size};
use crate::order::{ClientOrderId, Intent, Purpose, Terms};
use crate::reason::Reason as Text;
use crate::time::Timestamp;
use crate::trade::Side;
use serde::{Deserialize, Serialize};

events! {
    pub enum Event {
        /// A maker was set up for a market.
        Opened(Opened) = 550 "maker_opened" v 1 Business;
        /// A set of parameters was written down; it counts once it is activated.
        ParametersSet(ParametersSet) = 551 "maker_parameters_set" v 1 Business;
        /// A maker goes by another set of parameters from now on.
        ParametersActivated(ParametersActivated) = 552 "maker_parameters_activated" v 1 Business;
        /// A maker got more or less careful, and all that holds.
        ModeChanged(Box<ModeChanged>) = 553 "maker_mode_changed" v 1 Business;
        /// What holds of a maker changed, and its mode did not.
        ReasonsChanged(ReasonsChanged) = 554 "maker_reasons_changed" v 1 Volume;
        /// A maker decided to place or to cancel quotes, and what it saw.
        Decided(Box<Decided>) = 555 "maker_decided" v 1 Volume;
        /// The venue said that none of a paused maker's orders is left.
        Drained(Drained) = 556 "maker_drained" v 1 Business;
        /// A maker looked at its market, and nothing followed for a while.
        Ticked(Ticked) = 557 "maker_ticked" v 1 Telemetry;
        /// A maker was given up. Its orders are cancelled; what it holds is kept.
        Closed(Closed) = 558 "maker_closed" v 1 Business;
    }
}

macro_rules! payloads {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $field:ident : $type:ty ),* $(,)? } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $( $(#[$doc])* pub $field: $type ),* }
    )* };
}

payloads! {
    Opened { market: MarketId }
    ParametersSet {
        /// 1, 2, 3 … without gaps.
        set: SetId,
        by: Principal,
        comment: Text,
        values: Box<Parameters>,
    }
    ParametersActivated { set: SetId, by: Principal }
    ModeChanged {
        old: Mode,
        new: Mode,
        why: Why,
        set: Option<SetId>,
        features: Features,
        inventory: Option<Size>,
    }
    ReasonsChanged { why: Why }
    Decided {
        /// Which logic decided.
        logic: u16,
        set: Option<SetId>,
        mode: Mode,
        features: Features,
        inventory: Option<Size>,
        /// From the middle to either price at the level next to it, before care made it wider.
        half: Option<Bps>,
        /// By how much both prices are lower.
        skew: Option<Bps>,
        place: Vec<Place>,
        /// What is placed is good until then.
        valid_until: Timestamp,
        cancel: Vec<Cancel>,
        /// The venue is asked which orders are left.
        verify: bool,
    }
    Drained {}
    Ticked {}
    Closed { reason: Text }
    /// One order that is wanted. Its index in the decision is that of its client order id.
    Place {
        side: Side,
        level: u8,
        price: Price,
        size: Size,
        reduce_only: bool,
    }
    Cancel {
        order: ClientOrderId,
        side: Side,
        level: u8,
        why: CancelWhy,
    }
}

/// Why an order has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelWhy {
    Paused,
    /// It would make more of what there is too much of.
    ReduceOnly,
    /// Nothing is quoted there.
    NotWanted,
    /// Another one is there.
    Doubled,
    /// It was placed before the market got rough, and is nearer or larger than it may be now.
    TooBold,
    /// It stands there for too long.
    Aged,
    /// The target is elsewhere, or clearly smaller.
    Moved,
}

impl Decided {
    /// What the order gateway is asked for, in the order of their indices.
    pub fn intents(&self, strategy: &StrategyId, market: &MarketId) -> impl Iterator<Item = Intent> {
        self.place.iter().map(move |place| Intent {
            strategy: strategy.clone(),
            market: market.clone(),
            purpose: match place.reduce_only {
                true => Purpose::Reduce { level: place.level },
                false => Purpose::Quote { level: place.level },
            },
            terms: Terms {
                side: place.side,
                size: place.size,
                price: Some(place.price),
                post_only: true,
                reduce_only: place.reduce_only,
            },
            trade: None,
            probability: None,
            loss_exit: None,
            valid_until: Some(self.valid_until),
            why: self.mode.as_str().into(),
        })
    }
}
