//! Which endpoint gets a request: by rule, and by what comes of thousands of them.

use crate::endpoint::Status;
use crate::endpoint::routing::{Candidate, Chance, NoChoice, Outliers, choose};
use crate::sample::START;
use crate::sample::endpoint::endpoint_id;
use crate::time::{Span, Timestamp};
use proptest::prelude::*;

/// Online, idle, measured just now.
fn candidate(number: u64) -> Candidate {
    Candidate {
        endpoint: endpoint_id(number),
        status: Status::Online,
        weight: 100,
        in_flight: 0,
        in_flight_max: 0,
        latency: Some(Span::millis(100)),
        measured_at: Some(START),
        ejected: false,
    }
}

/// Numbers that are as good as random, the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 ^ ((self.0 >> 11) as u32).rotate_left(16)
    }
    fn chance(&mut self) -> Chance {
        Chance { explore: self.roll(), first: self.roll(), second: self.roll() }
    }
}

/// How often each was chosen of so many that come one after the other and are over at once.
fn counts(candidates: &[Candidate], times: usize) -> Vec<usize> {
    let (mut dice, mut counts) = (Dice(7), vec![0; candidates.len()]);
    for _ in 0..times {
        counts[choose(candidates, dice.chance(), START).unwrap()] += 1;
    }
    counts
}

/// `clients` who ask again as soon as they have their answer, each endpoint as fast as `took` says: how many each had of `times`.
fn served(candidates: &mut [Candidate], took: &[i64], clients: usize, times: usize) -> Vec<usize> {
    let (mut dice, mut counts) = (Dice(11), vec![0; candidates.len()]);
    let mut under_way: Vec<(Timestamp, usize)> = Vec::new();
    let mut now = START;
    for _ in 0..times {
        if under_way.len() == clients {
            under_way.sort();
            let (at, place) = under_way.remove(0);
            now = at;
            candidates[place].in_flight -= 1;
            (candidates[place].latency, candidates[place].measured_at) = (Some(Span::millis(took[place])), Some(now));
        }
        let place = choose(candidates, dice.chance(), now).unwrap();
        candidates[place].in_flight += 1;
        counts[place] += 1;
        // No two answers take exactly as long.
        let spread = i64::from(dice.roll() % 200) * took[place];
        under_way.push((now + Span(took[place] * 900 + spread), place));
    }
    counts
}

#[test]
fn nobody_is_asked_who_is_not_in_service() {
    let with = |status| Candidate { status, ..candidate(1) };
    for status in [Status::Pending, Status::Offline] {
        assert_eq!(choose(&[with(status)], Dice(1).chance(), START), Err(NoChoice::AllOffline));
        assert_eq!(counts(&[with(status), candidate(2)], 500), [0, 500]);
    }
    assert_eq!(choose(&[], Dice(1).chance(), START), Err(NoChoice::AllOffline));
}

#[test]
fn who_is_ejected_is_asked_only_where_there_is_nobody_else() {
    let ejected = Candidate { ejected: true, ..candidate(1) };
    assert_eq!(counts(&[ejected.clone(), candidate(2)], 500), [0, 500]);
    assert_eq!(counts(std::slice::from_ref(&ejected), 5), [5]);
    let offline = Candidate { status: Status::Offline, ..candidate(2) };
    assert_eq!(counts(&[ejected.clone(), offline], 5), [5, 0]);
    let full = Candidate { in_flight: 3, in_flight_max: 3, ..candidate(2) };
    assert_eq!(choose(&[ejected, full], Dice(1).chance(), START), Err(NoChoice::AllBusy), "rather wait than fail");
}

#[test]
fn a_limit_is_a_limit_and_half_open_is_a_quarter_of_it() {
    for (status, in_flight_max, room) in [
        (Status::Online, 8, 8),
        (Status::Error, 8, 8),
        (Status::HalfOpen, 8, 2),
        (Status::HalfOpen, 3, 1),
        (Status::HalfOpen, 0, 4),
    ] {
        for (in_flight, expected) in [(0, Ok(0)), (room - 1, Ok(0)), (room, Err(NoChoice::AllBusy))] {
            let one = Candidate { status, in_flight, in_flight_max, ..candidate(1) };
            assert_eq!(choose(&[one], Dice(1).chance(), START), expected, "{status:?} {in_flight} of {in_flight_max}");
        }
    }
    let without = Candidate { in_flight: 100_000, ..candidate(1) };
    assert_eq!(choose(&[without], Dice(1).chance(), START), Ok(0));
}

#[test]
fn the_cheaper_of_two_is_taken() {
    let (idle, busy) = (candidate(1), Candidate { in_flight: 1, ..candidate(2) });
    let slow = Candidate { latency: Some(Span::millis(300)), ..candidate(3) };
    let heavy = Candidate { weight: 400, ..slow.clone() };
    let doubtful = Candidate { status: Status::Error, ..candidate(4) };
    for (better, worse) in [(&idle, &busy), (&idle, &slow), (&heavy, &idle), (&busy, &slow), (&busy, &doubtful)] {
        assert_eq!(counts(&[better.clone(), worse.clone()], 200), [200, 0]);
        assert_eq!(counts(&[worse.clone(), better.clone()], 200), [0, 200]);
    }
    let waits = Candidate { in_flight: 4, ..candidate(5) };
    assert_eq!(counts(&[waits, doubtful], 200), [0, 200], "one in doubt is better than a long queue");
}

#[test]
fn who_is_alike_gets_alike() {
    let all: Vec<Candidate> = (1..=5).map(candidate).collect();
    for count in counts(&all, 10_000) {
        assert!((1_800..2_200).contains(&count), "{count}");
    }
}

#[test]
fn under_load_shares_go_by_weight() {
    let mut two = [candidate(1), Candidate { weight: 300, ..candidate(2) }];
    let counts = served(&mut two, &[100, 100], 64, 20_000);
    let share = counts[1] * 100 / 20_000;
    assert!((70..80).contains(&share), "three quarters, not {share} %");
}

#[test]
fn under_load_shares_go_by_speed() {
    let mut three = [candidate(1), candidate(2), candidate(3)];
    let counts = served(&mut three, &[50, 100, 400], 32, 20_000);
    assert!(counts[0] > counts[1] && counts[1] > counts[2], "{counts:?}");
    assert!(counts[2] > 200, "the slow one is not left alone: {counts:?}");
}

#[test]
fn a_new_endpoint_gets_its_share() {
    for (clients, least) in [(1, 100), (16, 2_000)] {
        let mut all: Vec<Candidate> = (1..=4).map(candidate).collect();
        (all[3].latency, all[3].measured_at) = (None, None);
        let counts = served(&mut all, &[100, 100, 100, 100], clients, 10_000);
        assert!(counts[3] >= least && counts[3] < 3_500, "{clients}: {counts:?}");
    }
}

#[test]
fn what_was_slow_long_ago_is_asked_again() {
    let slow = Candidate { latency: Some(Span::seconds(60)), ..candidate(2) };
    let at = |measured_at| Candidate { measured_at: Some(measured_at), ..slow.clone() };
    assert_eq!(counts(&[candidate(1), at(START)], 1_000)[1], 0, "measured just now");
    let old = START - Span::seconds(61);
    let asked = counts(&[candidate(1), at(old)], 1_600)[1];
    assert!((60..140).contains(&asked), "one in sixteen, not {asked}");
    let under_way = Candidate { in_flight: 1, ..at(old) };
    assert_eq!(counts(&[candidate(1), under_way], 1_000)[1], 0, "somebody is finding out");
}

#[test]
fn an_outlier_is_ejected_for_a_while_and_longer_each_time() {
    let (bad, good) = (endpoint_id(1), endpoint_id(2));
    let mut outliers = Outliers::default();
    let mut now = START;
    for _ in 0..64 {
        outliers.note(good, true, 2, now);
    }
    for seconds in [30, 60, 90] {
        let noted = (0..16).filter(|_| outliers.note(bad, false, 2, now)).count();
        assert_eq!(noted, 1, "ejected once, at the sixteenth");
        assert!(outliers.is_ejected(bad, now) && !outliers.is_ejected(good, now));
        now = now + Span::seconds(seconds) - Span(1);
        assert!(outliers.is_ejected(bad, now), "{seconds}");
        now = now + Span(1);
        assert!(!outliers.is_ejected(bad, now), "{seconds}");
    }
    (0..16).for_each(|_| _ = outliers.note(bad, true, 2, now));
    (0..40).for_each(|_| _ = outliers.note(bad, false, 2, now));
    now = now + Span::seconds(30);
    assert!(!outliers.is_ejected(bad, now), "it was good in between: the time counts from the start");
    outliers.forget(bad);
    assert_eq!(outliers, {
        let mut only = Outliers::default();
        (0..64).for_each(|_| _ = only.note(good, true, 2, START));
        only
    });
}

#[test]
fn who_fails_like_all_others_is_no_outlier_and_half_of_them_stay() {
    let ids: Vec<_> = (1..=4).map(endpoint_id).collect();
    let mut alike = Outliers::default();
    for round in 0..200 {
        ids.iter().for_each(|id| _ = alike.note(*id, round % 2 == 0, 4, START));
    }
    assert!(ids.iter().all(|id| !alike.is_ejected(*id, START)), "an outage of all is nobody's fault");
    let mut outliers = Outliers::default();
    (0..64).for_each(|_| _ = outliers.note(ids[3], true, 4, START));
    for id in &ids[..3] {
        (0..64).for_each(|_| _ = outliers.note(*id, false, 4, START));
    }
    let out = ids.iter().filter(|id| outliers.is_ejected(**id, START)).count();
    assert!((1..=2).contains(&out), "{out}");
    let mut alone = Outliers::default();
    (0..64).for_each(|_| _ = alone.note(ids[0], false, 1, START));
    assert!(!alone.is_ejected(ids[0], START), "the only one stays");
    let mut rare = Outliers::default();
    (0..64).for_each(|_| _ = rare.note(ids[1], true, 2, START));
    (0..640).for_each(|round| _ = rare.note(ids[0], round % 10 > 1, 2, START));
    assert!(!rare.is_ejected(ids[0], START), "two of ten");
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    let status = prop::sample::select(Status::ALL.to_vec());
    let latency = prop::option::of((0i64..i64::MAX).prop_map(Span));
    let measured_at = prop::option::of(any::<i64>().prop_map(Timestamp));
    let load = (0u32..12, 0u32..12, any::<u32>());
    (status, load, latency, measured_at, any::<bool>()).prop_map(
        |(status, (in_flight, in_flight_max, weight), latency, measured_at, ejected)| Candidate {
            status,
            weight,
            in_flight,
            in_flight_max,
            latency,
            measured_at,
            ejected,
            ..candidate(1)
        },
    )
}

proptest! {
    #[test]
    fn whoever_is_chosen_may_have_it(
        candidates in prop::collection::vec(any_candidate(), 0..8),
        (explore, first, second) in any::<(u32, u32, u32)>(),
        now in any::<i64>(),
    ) {
        let chosen = choose(&candidates, Chance { explore, first, second }, Timestamp(now));
        let serving = |ejected| candidates.iter().filter(move |it: &&Candidate| it.status.serves() && it.ejected == ejected);
        match chosen {
            Ok(place) => {
                let one = &candidates[place];
                prop_assert!(one.status.serves());
                prop_assert!(one.in_flight_max == 0 || one.in_flight < one.in_flight_max);
                prop_assert!(!one.ejected || serving(false).count() == 0, "ejected, though others serve");
            }
            Err(NoChoice::AllOffline) => prop_assert_eq!(serving(false).count() + serving(true).count(), 0),
            Err(NoChoice::AllBusy) => {
                let ejected = serving(false).count() == 0;
                let room = serving(ejected).any(|it| it.status != Status::HalfOpen
                    && (it.in_flight_max == 0 || it.in_flight < it.in_flight_max));
                prop_assert!(!room);
            }
        }
    }
}
