//! How large an order becomes. Each step may shrink it or refuse it; none makes it larger.

use super::check::{Check, Finding, Measure};
use crate::market::{Cash, Price, Ratio, Size};
use serde::{Deserialize, Serialize};

/// A step that made an order smaller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub check: Check,
    pub from: Size,
    pub to: Size,
}

/// What each step leaves room for, in their order. None: it does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What is there to be given up.
    pub held: Option<Size>,
    pub exposure: Option<Size>,
    /// Asked for so much of it, and refused below the second.
    pub probability: Option<(Ratio, Ratio)>,
    pub margin: Option<Size>,
    pub loss: Option<Size>,
    pub units: Option<Size>,
    /// What the venue wants.
    pub step: Size,
    pub size_min: Size,
    pub notional_min: Option<Cash>,
    /// At what price the least is reckoned.
    pub price: Price,
}

/// The size, and the steps that made it smaller than what was asked for.
pub fn size(asked: Size, room: &Room) -> Result<(Size, Vec<Step>), Finding> {
    let mut sizing = Sizing { size: asked, steps: Vec::new() };
    sizing.at_most(Check::Held, room.held)?;
    sizing.at_most(Check::Exposure, room.exposure)?;
    if let Some((probability, least)) = room.probability {
        if probability < least {
            return Err(Finding::of(Check::Probability, Measure::Ratio(probability), Measure::Ratio(least)));
        }
        let scaled =
            i128::from(sizing.size.0) * i128::from(probability.0.clamp(0, Ratio::ONE.0)) / i128::from(Ratio::ONE.0);
        // No more than it was, so that it fits.
        sizing.at_most(Check::Probability, Some(Size(i64::try_from(scaled).unwrap_or(sizing.size.0))))?;
    }
    sizing.at_most(Check::Margin, room.margin)?;
    sizing.at_most(Check::LossCap, room.loss)?;
    sizing.at_most(Check::MaxUnits, room.units)?;
    sizing.at_least(room)?;
    Ok((sizing.size, sizing.steps))
}

struct Sizing {
    size: Size,
    steps: Vec<Step>,
}

impl Sizing {
    fn at_most(&mut self, check: Check, most: Option<Size>) -> Result<(), Finding> {
        let Some(most) = most.filter(|most| *most < self.size) else { return Ok(()) };
        if most.0 <= 0 {
            return Err(Finding::of(check, Measure::Size(self.size), Measure::Size(most)));
        }
        self.steps.push(Step { check, from: self.size, to: most });
        self.size = most;
        Ok(())
    }

    /// Whole steps of the venue, and no less than it takes. The whole of what is held may always go.
    fn at_least(&mut self, room: &Room) -> Result<(), Finding> {
        let whole = room.held == Some(self.size);
        if whole {
            return Ok(());
        }
        let floored = self.size.floor_to(room.step);
        if floored < room.size_min || floored.0 <= 0 {
            return Err(Finding::of(Check::MinUnits, Measure::Size(self.size), Measure::Size(room.size_min)));
        }
        if let Some(least) = room.notional_min.filter(|least| room.price * floored < *least) {
            return Err(Finding::of(Check::MinUnits, Measure::Cash(room.price * floored), Measure::Cash(least)));
        }
        self.at_most(Check::MinUnits, Some(floored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open() -> Room {
        Room {
            held: None,
            exposure: None,
            probability: None,
            margin: None,
            loss: None,
            units: None,
            step: Size(10),
            size_min: Size(20),
            notional_min: None,
            price: Price::whole(100),
        }
    }

    #[test]
    fn each_step_shrinks_or_refuses() {
        let half = Ratio(500_000_000);
        for (what, room, expected) in [
            ("nothing in the way", open(), Ok(1_000)),
            ("held", Room { held: Some(Size(300)), ..open() }, Ok(300)),
            ("the whole of an odd rest", Room { held: Some(Size(7)), ..open() }, Ok(7)),
            ("exposure", Room { exposure: Some(Size(305)), ..open() }, Ok(300)),
            ("no room", Room { exposure: Some(Size(0)), ..open() }, Err(Check::Exposure)),
            ("beyond it already", Room { exposure: Some(Size(-5)), ..open() }, Err(Check::Exposure)),
            ("half as sure", Room { probability: Some((half, Ratio::ZERO)), ..open() }, Ok(500)),
            ("surer than sure", Room { probability: Some((Ratio::whole(3), Ratio::ZERO)), ..open() }, Ok(1_000)),
            ("too unsure", Room { probability: Some((half, Ratio(600_000_000))), ..open() }, Err(Check::Probability)),
            ("margin", Room { margin: Some(Size(99)), ..open() }, Ok(90)),
            ("loss", Room { loss: Some(Size(50)), ..open() }, Ok(50)),
            ("units", Room { units: Some(Size(40)), ..open() }, Ok(40)),
            ("too small a rest", Room { units: Some(Size(19)), ..open() }, Err(Check::MinUnits)),
            (
                "worth too little",
                Room { notional_min: Some(Price::whole(100) * Size(1_001)), ..open() },
                Err(Check::MinUnits),
            ),
        ] {
            let found = size(Size(1_000), &room).map(|(size, _)| size.0).map_err(|finding| finding.check);
            assert_eq!(found, expected, "{what}");
        }
    }

    fn any_room() -> impl Strategy<Value = Room> {
        let size = || prop::option::weighted(0.6, (-50i64..5_000).prop_map(Size));
        let ratio = || (-100_000_000i64..1_500_000_000).prop_map(Ratio);
        let probability = prop::option::of((ratio(), (0i64..500_000_000).prop_map(Ratio)));
        let wants = (1i64..200, 1i64..300, prop::option::of(0i64..100_000), 1i64..500);
        (size(), probability, size(), size(), size(), wants).prop_map(
            |(exposure, probability, margin, loss, units, (step, least, notional, price))| Room {
                held: None,
                exposure,
                probability,
                margin,
                loss,
                units,
                step: Size(step),
                size_min: Size(least),
                notional_min: notional.map(|cash| Cash(cash.into())),
                price: Price(price),
            },
        )
    }

    proptest! {
        #[test]
        fn it_only_shrinks(asked in 1i64..10_000, room in any_room(), held in prop::option::of(1i64..5_000)) {
            let room = Room { held: held.map(Size), ..room };
            if let Ok((found, steps)) = size(Size(asked), &room) {
                let mut at = Size(asked);
                for step in &steps {
                    prop_assert_eq!(step.from, at);
                    prop_assert!(step.to < step.from && step.to.0 > 0);
                    at = step.to;
                }
                prop_assert_eq!(at, found);
                for most in [room.held, room.exposure, room.margin, room.loss, room.units].into_iter().flatten() {
                    prop_assert!(found <= most, "{:?} is more than {:?}", found, most);
                }
                prop_assert!(room.held == Some(found) || found >= room.size_min && found.is_multiple_of(room.step));
            }
        }

        /// Who asks for more gets no less, and who leaves less room gives no more.
        #[test]
        fn it_is_monotone(asked in 1i64..10_000, more in 0i64..5_000, room in any_room(), less in 0i64..2_000) {
            let of = |asked, room: &Room| size(Size(asked), room).map_or(Size(0), |(size, _)| size);
            let found = of(asked, &room);
            prop_assert!(of(asked + more, &room) >= found);
            let tighter = |most: Option<Size>| most.map(|most| Size(most.0 - less));
            for room in [
                Room { exposure: tighter(room.exposure), ..room },
                Room { margin: tighter(room.margin), ..room },
                Room { loss: tighter(room.loss), ..room },
                Room { units: tighter(room.units), ..room },
                Room { size_min: Size(room.size_min.0 + less), ..room },
            ] {
                prop_assert!(of(asked, &room) <= found);
            }
        }
    }
}
