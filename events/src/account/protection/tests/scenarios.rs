//! The text table in `scenarios.txt`.

use super::*;

const TABLE: &str = include_str!("../scenarios.txt");

struct Account {
    protection: Protection,
    rules: Rules,
}

impl Account {
    fn does(&mut self, now: Timestamp, wish: &str) -> String {
        match wish.strip_prefix("rearm ") {
            Some(wish) => self.rearms(now, wish),
            None => {
                let figures = parsed(wish);
                let events = beat(&mut self.protection, &figures, &self.rules, now);
                shown(&events)
            }
        }
    }

    /// `daily_loss here, why`
    fn rearms(&mut self, now: Timestamp, wish: &str) -> String {
        let (what, why) = wish.split_once(',').unwrap();
        let mut rearm = Rearm { limits: vec![], baseline: Baseline::default(), reason: Reason::new(why).unwrap() };
        for word in what.split_whitespace() {
            let marks = &self.protection.marks;
            match word.strip_prefix("paid-in=") {
                Some(paid_in) => rearm.baseline = Baseline::after_transfer(marks, money(paid_in)).unwrap(),
                None if word == "here" => rearm.baseline = Baseline::here(&marks.last.unwrap().figures),
                None => rearm.limits.push(serde_json::from_value(word.into()).unwrap()),
            }
        }
        match self.protection.rearm(rearm, &self.rules) {
            Ok(rearmed) => {
                let event = ProtectionEvent::Rearmed(rearmed);
                self.protection.remember(&event, now);
                shown(&[event])
            }
            Err(refusal) => format!("refused {}", refusal.code()),
        }
    }

    fn blocks(&self) -> String {
        self.protection.blocks().map_or("-".into(), |block| format!("{} {}", word(block.action), block.limit))
    }
}

/// `100000 99000 free=90000 lots=1.5 open=3`
fn parsed(text: &str) -> Figures {
    let mut words = text.split_whitespace();
    let mut found = figures(words.next().unwrap(), words.next().unwrap());
    for word in words {
        match word.split_once('=').unwrap() {
            ("free", free) => found.free_margin = money(free),
            ("lots", open) => found.open_lots = Some(lots(open)),
            ("open", count) => found.open_positions = count.parse().unwrap(),
            _ => panic!("{word}"),
        }
    }
    found
}

fn shown(events: &[ProtectionEvent]) -> String {
    let texts: Vec<String> = events.iter().map(event_shown).collect();
    if texts.is_empty() { "-".into() } else { texts.join(", ") }
}

fn event_shown(event: &ProtectionEvent) -> String {
    match event {
        ProtectionEvent::DayStarted(started) => {
            let ends = started.next_reset_at.to_string().replace('T', " ");
            format!("day {} to {} from {}/{}", started.day, &ends[5..16], started.balance, started.equity)
        }
        ProtectionEvent::Near(near) => {
            format!("near {} {} of {}, {} %", near.limit, near.used, near.allowed, near.percent)
        }
        ProtectionEvent::Hit(hit) => {
            format!("hit {} {} of {}, {}", hit.limit, hit.used, hit.allowed, word(hit.action))
        }
        ProtectionEvent::Cleared(cleared) => format!("cleared {}: {}", cleared.limit, word(cleared.why)),
        ProtectionEvent::Rearmed(rearmed) => {
            rearmed.limits.iter().fold("rearmed".into(), |text, limit| format!("{text} {limit}"))
        }
    }
}

fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_string()
}

#[test]
fn the_table_says_what_happens() {
    let mut account = Account { protection: Protection::default(), rules: Rules::default() };
    let (mut scenario, mut rows) = ("", 0);
    for line in TABLE.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(title) = line.strip_prefix("== ") {
            scenario = title;
            account.protection = Protection::default();
        } else if let Some(json) = line.strip_prefix("rules ") {
            account.rules = rules(json);
        } else if !scenario.is_empty() {
            let columns: Vec<&str> = line.split('|').map(str::trim).collect();
            let &[when, wish, then, blocks] = columns.as_slice() else { panic!("four columns: {line}") };
            let found = account.does(at(&format!("{}Z", when.replace(' ', "T"))), wish);
            assert_eq!((found.as_str(), account.blocks().as_str()), (then, blocks), "{scenario}\n{line}");
            account.protection = restarted(&account.protection);
            rows += 1;
        }
    }
    assert!(rows >= 80, "{rows} rows");
}
