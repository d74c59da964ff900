//! What holds whatever is reported, set and re-armed in whatever order.

use super::*;
use crate::money::Factor;
use proptest::prelude::*;
use rust_decimal::Decimal;

#[derive(Debug, Clone)]
enum Step {
    Heard(Figures),
    Set(Box<Rules>),
    Rearm { here: bool },
    Restart,
}

/// Minutes to wait, and what happens then.
type Steps = Vec<(u16, Step)>;

fn cents() -> impl Strategy<Value = Money> {
    (-5_000i64..200_000).prop_map(|cents| Money::new(Decimal::new(cents, 2)).unwrap())
}

/// Also numbers that no broker has.
fn any_money() -> impl Strategy<Value = Money> {
    prop_oneof![9 => cents(), 1 => (any::<i64>(), 0u32..=12).prop_map(|(n, scale)| Money::new(Decimal::new(n, scale)).unwrap())]
}

fn any_figures(money: impl Strategy<Value = Money> + Clone) -> impl Strategy<Value = Figures> {
    let volume = prop::option::of((0i64..500).prop_map(|n| Lots::new(Decimal::new(n, 2)).unwrap()));
    (money.clone(), money.clone(), money, volume, 0u32..8).prop_map(
        |(balance, equity, free_margin, open_lots, open_positions)| Figures {
            balance,
            equity,
            free_margin,
            open_lots,
            open_positions,
        },
    )
}

fn any_factor() -> impl Strategy<Value = Factor> {
    (1i64..2_000, 0u32..3).prop_map(|(n, scale)| Factor::new(Decimal::new(n, scale)).unwrap())
}

fn any_amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        cents().prop_map(Amount::Money),
        any_factor().prop_map(Amount::Percent),
        any_factor().prop_map(Amount::PercentOfInitial),
    ]
}

fn any_action() -> impl Strategy<Value = Action> {
    prop::sample::select(vec![Action::BlockEntry, Action::CloseOnly, Action::Flatten])
}

fn any_lasts() -> impl Strategy<Value = Lasts> {
    prop::sample::select(vec![Lasts::Day, Lasts::Rearm])
}

fn any_daily() -> impl Strategy<Value = Option<Daily>> {
    let from = prop::sample::select(vec![DayStart::Balance, DayStart::Equity, DayStart::Higher]);
    let daily = (any_amount(), from, any_action(), any_lasts());
    prop::option::of(daily.prop_map(|(amount, from, action, lasts)| Daily { amount, from, action, lasts }))
}

fn any_total() -> impl Strategy<Value = Option<TotalDrawdown>> {
    let from = prop::sample::select(vec![TotalFrom::Initial, TotalFrom::Peak, TotalFrom::EndOfDay]);
    let total = (any_amount(), from, prop::option::of(cents()), any_action());
    prop::option::of(total.prop_map(|(amount, from, locks_at, action)| TotalDrawdown {
        amount,
        from,
        locks_at,
        action,
    }))
}

fn any_equity() -> impl Strategy<Value = Option<Equity>> {
    prop::option::of((cents(), any_action()).prop_map(|(equity, action)| Equity { equity, action }))
}

/// Sensible or not: what is folded was not necessarily validated by this build.
fn any_rules() -> impl Strategy<Value = Rules> {
    let zone = prop::sample::select(vec!["UTC", "America/New_York", "Pacific/Apia", "Mars/Olympus"]);
    let day = (zone, 0u8..24, 0u8..60).prop_map(|(zone, hour, minute)| TradingDay {
        zone: zone.into(),
        reset: TimeOfDay::new(hour, minute).unwrap(),
    });
    let drawdown = (any_amount(), any_action(), any_lasts());
    let drawdown =
        prop::option::of(drawdown.prop_map(|(amount, action, lasts)| DailyDrawdown { amount, action, lasts }));
    let target = prop::option::of((any_amount(), any_action()).prop_map(|(amount, action)| Target { amount, action }));
    let margin = (any_factor(), any_action(), any_lasts());
    let margin = prop::option::of(margin.prop_map(|(percent, action, lasts)| Margin { percent, action, lasts }));
    let caps = (prop::option::of(Just(lots("2.5"))), prop::option::of(0u32..6));
    let first = (day, 1u8..=100, any_daily(), drawdown, any_total());
    (first, any_equity(), any_equity(), any_daily(), target, margin, caps).prop_map(
        |(first, equity_floor, equity_ceiling, daily_target, total_target, margin_level, caps)| {
            let (trading_day, warn_at_percent, daily_loss, daily_drawdown, total_drawdown) = first;
            let (lots_max, positions_max) = caps;
            Rules {
                trading_day,
                warn_at_percent,
                daily_loss,
                daily_drawdown,
                total_drawdown,
                equity_floor,
                equity_ceiling,
                daily_target,
                total_target,
                margin_level,
                lots_max,
                positions_max,
            }
        },
    )
}

fn any_steps() -> impl Strategy<Value = Steps> {
    let step = prop_oneof![
        12 => any_figures(any_money().boxed()).prop_map(Step::Heard),
        2 => any_rules().prop_map(|rules| Step::Set(Box::new(rules))),
        2 => any::<bool>().prop_map(|here| Step::Rearm { here }),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec((0u16..900, step), 1..40)
}

fn rearm(protection: &Protection, rules: &Rules, here: bool) -> Option<ProtectionEvent> {
    let limits = protection.hits().map(|(limit, _)| limit).filter(|limit| !limit.is_cap()).collect();
    let baseline = match protection.marks.last {
        Some(last) if here => Baseline::here(&last.figures),
        _ => Baseline::default(),
    };
    let wish = Rearm { limits, baseline, reason: Reason::new("again").unwrap() };
    protection.rearm(wish, rules).ok().map(ProtectionEvent::Rearmed)
}

proptest! {
    /// The log of a live account, folded anew with its events before or after their heartbeat, gives the live state; so does
    /// a life with restarts in between.
    #[test]
    fn a_restart_gives_the_same_as_live(steps in any_steps()) {
        let (mut live, mut again, mut other) = <(Protection, Protection, Protection)>::default();
        let (mut rules, mut now) = (Rules::default(), at("2011-12-28T00:00:00Z"));
        for (minutes, step) in steps {
            now = now + Span::seconds(60 * i64::from(minutes) + 1);
            match step {
                Step::Heard(figures) => {
                    let events = live.observe(&figures, &rules, now);
                    prop_assert_eq!(&events, &again.observe(&figures, &rules, now));
                    live.heard(&figures, now);
                    again.heard(&figures, now);
                    for event in &events {
                        live.remember(event, now);
                        again.remember(event, now);
                        other.remember(event, now);
                    }
                    other.heard(&figures, now);
                    prop_assert_eq!(live.observe(&figures, &rules, now), [], "the same again says nothing new");
                }
                Step::Set(set) => rules = *set,
                Step::Rearm { here } => {
                    if let Some(event) = rearm(&live, &rules, here) {
                        live.remember(&event, now);
                        again.remember(&event, now);
                        other.remember(&event, now);
                    }
                }
                Step::Restart => again = restarted(&again),
            }
            prop_assert_eq!(&live, &again);
            prop_assert_eq!(&live, &other, "events before their heartbeat");
        }
    }

    /// A limit that is exceeded is hit, one that blocks was exceeded, and peaks only rise unless a person moves them.
    #[test]
    fn what_is_exceeded_is_hit_and_peaks_only_rise(steps in any_steps()) {
        let mut protection = Protection::default();
        let (mut rules, mut now) = (Rules::default(), at("2026-03-01T00:00:00Z"));
        for (minutes, step) in steps {
            now = now + Span::seconds(60 * i64::from(minutes) + 1);
            let before = protection.clone();
            match step {
                Step::Heard(figures) => {
                    beat(&mut protection, &figures, &rules, now);
                    let (old, new) = (before.marks, protection.marks);
                    prop_assert!(new.peak >= old.peak && new.end_of_day_peak >= old.end_of_day_peak);
                    prop_assert!(old.initial <= Money::ZERO || old.initial == new.initial);
                    if let Some(day) = new.day.filter(|_| !figures.is_blank() && !rules.is_empty()) {
                        prop_assert!(day.high >= figures.equity && day.high >= day.equity);
                        prop_assert!(day.started_at <= now && now < day.next_reset_at);
                    }
                    for gauge in protection.gauges(&rules).iter().filter(|_| !figures.is_blank()) {
                        let hit = matches!(gauge.standing, Some(Standing::Hit(_)));
                        // Beyond what a record can hold both are shown as the largest number there is.
                        let off_the_scale = gauge.allowed.get() == rust_decimal::Decimal::from(i64::MAX);
                        prop_assert!(hit || off_the_scale || gauge.used < gauge.allowed, "{:?}", gauge);
                    }
                }
                Step::Set(set) => rules = *set,
                Step::Rearm { here } => {
                    if let Some(event) = rearm(&protection, &rules, here) {
                        protection.remember(&event, now);
                        prop_assert!(protection.blocks().is_none());
                    }
                }
                Step::Restart => {}
            }
            for (limit, hit) in protection.hits() {
                prop_assert!(hit.used >= hit.allowed, "{} {:?}", limit, hit);
            }
        }
    }

    /// The daily loss against a count in whole cents.
    #[test]
    fn a_daily_loss_is_exact_to_the_cent(
        start in 1i64..10_000_000_000,
        hundredths in 1i64..=10_000,
        lost in 0i64..10_000_000_000,
    ) {
        let rules = Rules {
            daily_loss: Some(Daily {
                amount: Amount::Percent(Factor::new(Decimal::new(hundredths, 2)).unwrap()),
                from: DayStart::Higher,
                action: Action::BlockEntry,
                lasts: Lasts::Day,
            }),
            ..Rules::default()
        };
        let cents = |cents: i64| Money::new(Decimal::new(cents, 2)).unwrap();
        let flat = |equity| Figures {
            balance: cents(start), equity, free_margin: equity, open_lots: None, open_positions: 1,
        };
        // One cent less than the limit, the limit, and any.
        let allowed = i128::from(start) * i128::from(hundredths);
        let exactly = i64::try_from((allowed + 9_999) / 10_000).unwrap();
        for lost in [exactly - 1, exactly, lost] {
            let mut protection = Protection::default();
            let now = at("2026-05-04T08:00:00Z");
            beat(&mut protection, &flat(cents(start)), &rules, now);
            beat(&mut protection, &flat(cents(start - lost)), &rules, now + Span::seconds(1));
            let expected = i128::from(lost) * 10_000 >= allowed;
            prop_assert_eq!(protection.blocks().is_some(), expected, "{} of {} % of {}", lost, hundredths, start);
        }
    }
}
