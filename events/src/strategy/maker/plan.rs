//! What is done so that the venue shows the quotes: cancel what must go, then place where nothing stands or is on its way.
//!
//! Never more than one order of which something may still come at a side and level. An order that is in the way is cancelled and
//! its successor placed once it is over: so a cancel that fails blocks what would replace it.

use super::event::{Cancel, CancelWhy, Place};
use super::look::{Look, Working};
use super::mode::Mode;
use super::parameter::Parameters;
use super::quote::{LEVELS_MAX, Quotes, Target, index, sized};
use super::state::Maker;
use crate::market::{Price, Size};
use crate::time::{Span, Timestamp};
use crate::trade::Side;

/// A cancel that led to nothing is tried again after so long.
const CANCEL_RETRY: Span = Span::seconds(1);
/// The venue is asked again what is left after so long.
const VERIFY_RETRY: Span = Span::seconds(2);

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub place: Vec<Place>,
    pub cancel: Vec<Cancel>,
    /// The venue is to be asked what is left.
    pub verify: bool,
}

/// What the plan goes by.
pub(super) struct Aim<'a> {
    pub quotes: &'a Quotes,
    pub mode: Mode,
    pub reduce_only: bool,
    pub parameters: &'a Parameters,
    pub now: Timestamp,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.place.is_empty() && self.cancel.is_empty() && !self.verify
    }
}

impl Maker {
    pub(super) fn plan(&self, look: &Look<'_>, aim: &Aim<'_>) -> Plan {
        let mut plan = Plan::default();
        let held = self.held(look, aim, &mut plan);
        for side in [Side::Buy, Side::Sell] {
            let most = if aim.reduce_only { look.inventory.unwrap_or_default().abs() } else { Size::MAX };
            let (mut kept, mut room) = (most, most - self.still_open(side, look));
            for level in 0..LEVELS_MAX as u8 {
                let target = aim.quotes.at(side, level);
                if let Some(order) = held[index(side)][usize::from(level)] {
                    kept = kept - order.left;
                    if let Some(why) = self.in_the_way(order, target, kept >= Size::ZERO, aim) {
                        self.cancel(order, why, aim.now, &mut plan);
                    }
                } else if let Some(target) = target.filter(|_| self.may_place(side, level, look, aim))
                    && !crosses_ours(side, target.price, look)
                    && let Some(size) = sized(target.size.min(room), target.price, look.instrument)
                {
                    room = room - size;
                    let (price, reduce_only) = (target.price, aim.reduce_only);
                    plan.place.push(Place { side, level, price, size, reduce_only });
                }
            }
        }
        plan.verify = self.wants_to_verify(look, aim);
        plan
    }

    /// The order of each side and level. What is not at one of ours, or beside another one, is cancelled.
    fn held<'a>(&self, look: &Look<'a>, aim: &Aim<'_>, plan: &mut Plan) -> [[Option<&'a Working>; LEVELS_MAX]; 2] {
        let mut held: [[Option<&Working>; LEVELS_MAX]; 2] = Default::default();
        for order in look.orders.iter().filter(|order| !order.life.is_over()) {
            match held[index(order.side)].get_mut(usize::from(order.level)) {
                Some(place @ None) => *place = Some(order),
                Some(Some(_)) => self.cancel(order, CancelWhy::Doubled, aim.now, plan),
                None => self.cancel(order, CancelWhy::NotWanted, aim.now, plan),
            }
        }
        held
    }

    fn cancel(&self, order: &Working, why: CancelWhy, now: Timestamp, plan: &mut Plan) {
        let asked_at = self.slot(order.side, order.level).and_then(|slot| slot.cancel_asked_at);
        let waits = asked_at.is_some_and(|asked| now.since(asked) < CANCEL_RETRY);
        if !order.is_between() && !waits {
            plan.cancel.push(Cancel { order: order.id.clone(), side: order.side, level: order.level, why });
        }
    }

    /// Why the order cannot stay. Moved targets wait for their turn; what is too much or too bold does not.
    fn in_the_way(&self, order: &Working, target: Option<Target>, fits: bool, aim: &Aim<'_>) -> Option<CancelWhy> {
        let Some(target) = target else {
            return Some(match (aim.mode, aim.reduce_only) {
                (Mode::Pause, _) => CancelWhy::Paused,
                (_, true) => CancelWhy::ReduceOnly,
                (_, false) => CancelWhy::NotWanted,
            });
        };
        if !fits {
            return Some(CancelWhy::ReduceOnly);
        }
        let Parameters { min_requote_bps, .. } = aim.parameters;
        let moved = moved_by(order.price, target.price, min_requote_bps.0);
        let too_large = is_too_large(order.left, target.size);
        let placed = self.slot(order.side, order.level).and_then(|slot| slot.placed);
        let bold = aim.mode == Mode::Defensive && placed.is_some_and(|placed| placed.mode == Mode::Normal);
        if bold && (too_large || moved && is_nearer(order.side, order.price, target.price)) {
            return Some(CancelWhy::TooBold);
        }
        if aim.now.since(order.since) > aim.parameters.stale_cancel() {
            return Some(CancelWhy::Aged);
        }
        let rested = self.rested(order.side, order.level, aim);
        (rested && (moved || too_large)).then_some(CancelWhy::Moved)
    }

    /// The side was not placed a moment ago, and what was is not still on its way to the venue's stream.
    fn may_place(&self, side: Side, level: u8, look: &Look<'_>, aim: &Aim<'_>) -> bool {
        let coming = !self.on_its_way(side, level, look).is_zero();
        aim.mode != Mode::Pause && !coming && self.rested(side, level, aim)
    }

    /// What may still be dealt on a side, on its way or at the venue.
    fn still_open(&self, side: Side, look: &Look<'_>) -> Size {
        let orders = look.orders.iter().filter(|order| order.side == side && !order.life.is_over());
        let known = orders.fold(Size::ZERO, |sum, order| sum + order.left);
        (0..LEVELS_MAX as u8).fold(known, |sum, level| sum + self.on_its_way(side, level, look))
    }

    /// The size of what was decided there and is not among the orders yet.
    fn on_its_way(&self, side: Side, level: u8, look: &Look<'_>) -> Size {
        let placed = self.slot(side, level).and_then(|slot| slot.placed);
        placed.filter(|placed| placed.position > look.carried_through).map_or(Size::ZERO, |placed| placed.size)
    }

    fn rested(&self, side: Side, level: u8, aim: &Aim<'_>) -> bool {
        let placed = self.slot(side, level).and_then(|slot| slot.placed);
        placed.is_none_or(|placed| aim.now.since(placed.at) >= aim.parameters.refresh_interval())
    }

    /// Nothing is known to be left, and nothing can still come.
    fn looks_empty(&self, look: &Look<'_>) -> bool {
        let carried = |placed: u64| placed <= look.carried_through.0;
        let mut placed = self.slots.iter().flatten().filter_map(|slot| slot.placed);
        look.orders.iter().all(|order| order.life.is_over()) && placed.all(|placed| carried(placed.position.0))
    }

    fn wants_to_verify(&self, look: &Look<'_>, aim: &Aim<'_>) -> bool {
        let due = self.asked_in_this_pause().is_none_or(|asked| aim.now.since(asked) >= VERIFY_RETRY);
        let open = aim.mode == Mode::Pause && !(self.mode == Mode::Pause && self.drained);
        open && due && self.looks_empty(look) && !self.is_drained(look)
    }

    /// The venue was asked after everything was gone here, and named nothing.
    pub(super) fn is_drained(&self, look: &Look<'_>) -> bool {
        let Some(asked) = self.asked_in_this_pause() else { return false };
        look.none_left_at.is_some_and(|at| at >= asked) && self.looks_empty(look)
    }

    fn asked_in_this_pause(&self) -> Option<Timestamp> {
        self.verify_asked_at.filter(|_| self.mode == Mode::Pause)
    }
}

/// It would deal with an order of our own that is still there.
fn crosses_ours(side: Side, price: Price, look: &Look<'_>) -> bool {
    let mut others = look.orders.iter().filter(|order| order.side != side && !order.life.is_over());
    others.any(|other| match side {
        Side::Buy => price >= other.price,
        Side::Sell => price <= other.price,
    })
}

/// By so many billionths of a basis point of the order's price, or more.
fn moved_by(order: Price, target: Price, least: i64) -> bool {
    let moved = i128::from(order.0.abs_diff(target.0));
    moved > 0 && moved * 10_000 * 1_000_000_000 >= i128::from(least) * i128::from(order.0)
}

/// By more than a tenth: what a moved price makes of a size is no reason to replace an order.
fn is_too_large(left: Size, target: Size) -> bool {
    i128::from(left.0) * 10 > i128::from(target.0) * 11
}

fn is_nearer(side: Side, order: Price, target: Price) -> bool {
    match side {
        Side::Buy => order > target,
        Side::Sell => order < target,
    }
}
