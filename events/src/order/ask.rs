//! What a venue is asked. It follows from an event and from nothing else: no event, no call.

use super::event::*;
use super::word::{ClientOrderId, Terms};
use crate::id::MarketId;
use crate::market::{Price, Size};

/// To be told to the venue's adapter once the event that it is of is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    #[non_exhaustive]
    Submit { order: ClientOrderId, market: MarketId, terms: Terms },
    #[non_exhaustive]
    Cancel { order: ClientOrderId },
    #[non_exhaustive]
    Amend { order: ClientOrderId, price: Price, size: Size },
    /// What became of it?
    #[non_exhaustive]
    Query { order: ClientOrderId },
}

impl Ask {
    /// What the venue is asked because this happened.
    pub fn of(event: &Event) -> Option<Ask> {
        match event {
            Event::OrderSubmitted(submitted) => {
                let OrderSubmitted { order, intent, terms, .. } = submitted.as_ref();
                Some(Ask::Submit { order: order.clone(), market: intent.market.clone(), terms: terms.clone() })
            }
            Event::CancelRequested(CancelRequested { order, .. }) => Some(Ask::Cancel { order: order.clone() }),
            Event::AmendRequested(AmendRequested { order, price, size }) => {
                Some(Ask::Amend { order: order.clone(), price: *price, size: *size })
            }
            Event::OrderUnknown(OrderUnknown { order }) => Some(Ask::Query { order: order.clone() }),
            _ => None,
        }
    }
}
