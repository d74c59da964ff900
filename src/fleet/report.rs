//! What a fleet did, how long things took, and whether it agrees with the reference.

use super::cast::Link;
use super::reference::{Book, Evidence, Fault, Finding, Verdict, judge};
use super::station::{Station, Tally};
use serde::Serialize;
use std::collections::BTreeMap;
use tidehelm_events::id::Role;
use tidehelm_events::time::{Span, Timestamp};

#[derive(Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    pub masters: usize,
    pub slaves: usize,
    pub seconds: f64,
    pub did: Did,
    pub latency: Vec<Stage>,
    pub counted: Verdict,
    pub lost: usize,
    pub doubled: usize,
    pub drifted: usize,
    pub equal: bool,
    /// Nothing was under way any more when the positions were compared.
    pub settled: bool,
}

#[derive(Debug, Default, Serialize)]
pub struct Did {
    pub signals: u64,
    pub bursts: u64,
    pub orders: u64,
    pub orders_per_second: f64,
    pub heartbeats: u64,
    pub registrations: u64,
    pub executions: u64,
    pub lines_cut: u64,
    pub terminals_crashed: u64,
    pub connections_lost: u64,
    pub requests_resent: u64,
    pub orders_repeated: u64,
    pub orders_looked_up: u64,
    pub orders_rejected: u64,
    pub orders_expired: u64,
    pub refusals: BTreeMap<String, u64>,
}

/// In milliseconds.
#[derive(Debug, Serialize)]
pub struct Stage {
    pub stage: &'static str,
    pub count: usize,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Report {
    pub fn of(seed: u64, links: &[Link], stations: &mut [Station], took: Span, settled: bool) -> Report {
        stations.iter_mut().for_each(Station::count_oddities);
        let mut counted = verdict_of(links, stations, Span::seconds(2));
        let count = |role| stations.iter().filter(|station| station.player.role == role).count();
        let seconds = took.0 as f64 / 1e6;
        let latency = latency(stations, std::mem::take(&mut counted.delays));
        let drifted = counted.findings.iter().filter(|finding| !is_lost_or_doubled(finding)).count();
        Report {
            seed,
            masters: count(Role::Master),
            slaves: count(Role::Slave),
            seconds,
            did: Did::of(stations, seconds),
            latency,
            lost: counted.count(Fault::Lost),
            doubled: counted.count(Fault::Doubled),
            drifted,
            equal: counted.is_equal(),
            counted,
            settled,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        use std::fmt::Write;
        let (did, counted) = (&self.did, &self.counted);
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{} masters, {} slaves, {} links, seed {}, {:.0} s\n\n\
             Did       {} signals ({} bursts), {} orders ({:.0}/s), {} heartbeats, {} executions at brokers\n\
             Trouble   {} lines cut, {} terminals crashed, {} connections lost, {} registrations, {} requests sent again, \
             {} orders offered again, {} looked up, {} rejected, {} expired",
            self.masters,
            self.slaves,
            counted.links,
            self.seed,
            self.seconds,
            did.signals,
            did.bursts,
            did.orders,
            did.orders_per_second,
            did.heartbeats,
            did.executions,
            did.lines_cut,
            did.terminals_crashed,
            did.connections_lost,
            did.registrations,
            did.requests_resent,
            did.orders_repeated,
            did.orders_looked_up,
            did.orders_rejected,
            did.orders_expired,
        );
        for (code, count) in &did.refusals {
            let _ = writeln!(out, "          the desk refused {count} times: {code}");
        }
        let _ = writeln!(out, "\n{:<34}{:>9}{:>10}{:>10}{:>10}", "Milliseconds", "count", "p50", "p99", "max");
        for stage in &self.latency {
            let Stage { stage, count, p50, p99, max } = stage;
            let _ = writeln!(out, "{stage:<34}{count:>9}{p50:>10.2}{p99:>10.2}{max:>10.2}");
        }
        let _ = writeln!(
            out,
            "\nReference {} trades of masters, {} copies wanted, {} made, {} still open\n\
             Explained {} too small, {} refused by brokers, {} filled in part, {} too late, {} not ready, {} too brief, {} stopped out, {} unproven, \
             {} only bounded",
            counted.master_trades,
            counted.wanted,
            counted.copied,
            counted.standing,
            counted.too_small,
            counted.refused,
            counted.filled_in_part,
            counted.too_late,
            counted.not_ready,
            counted.too_brief,
            counted.stopped_out,
            counted.unproven,
            counted.bounded,
        );
        for finding in counted.findings.iter().take(20) {
            let _ = writeln!(out, "          {}", told(finding));
            for line in &finding.story {
                let _ = writeln!(out, "            {line}");
            }
        }
        let verdict = match (self.equal, self.settled) {
            (true, true) => "EQUAL",
            (true, false) => "EQUAL, but not everything was settled in time",
            (false, true) => "NOT EQUAL",
            (false, false) => "NOT EQUAL, and not everything was settled: is the desk there?",
        };
        let _ = writeln!(
            out,
            "\nVerdict   {verdict}: {} lost, {} doubled, {} otherwise not as they should be",
            self.lost, self.doubled, self.drifted
        );
        out
    }
}

fn told(finding: &Finding) -> String {
    let Finding { fault, slave, master, ticket, expected, held, .. } = finding;
    let fault = serde_json::to_value(fault).ok().and_then(|name| name.as_str().map(str::to_string));
    let of = match (master, ticket) {
        (Some(master), Some(ticket)) => format!(" of {ticket} at {master}"),
        _ => String::new(),
    };
    format!("{}: {slave} holds {held}{of}, expected {expected}", fault.unwrap_or_default())
}

fn is_lost_or_doubled(finding: &Finding) -> bool {
    matches!(finding.fault, Fault::Lost | Fault::Doubled)
}

/// Compares all stations with the reference.
pub fn verdict_of(links: &[Link], stations: &[Station], patience: Span) -> Verdict {
    let books = |role| {
        let of_role = stations.iter().filter(move |station| station.player.role == role);
        of_role
            .map(|station| Book {
                account: &station.player.account,
                house: &station.player.house,
                holding: station.player.holding,
                balance: station.player.balance,
                executions: station.executions(),
            })
            .collect()
    };
    let outages: Vec<_> = stations.iter().flat_map(|station| station.outages.iter().cloned()).collect();
    let of_station = |station: &Station| {
        let account = station.player.account.clone();
        let orders = station.unproven.clone().into_iter();
        orders.map(move |(order, symbol)| ((account.clone(), order), symbol))
    };
    let unproven: BTreeMap<_, _> = stations.iter().flat_map(of_station).collect();
    judge(&Evidence {
        masters: books(Role::Master),
        slaves: books(Role::Slave),
        links,
        outages: &outages,
        unproven: &unproven,
        since: Timestamp::ZERO,
        patience,
    })
}

impl Did {
    fn of(stations: &[Station], seconds: f64) -> Did {
        let sum = |count: fn(&Tally) -> u64| stations.iter().map(|station| count(&station.tally)).sum::<u64>();
        let mut refusals: BTreeMap<String, u64> = BTreeMap::new();
        for (code, count) in stations.iter().flat_map(|station| &station.tally.refusals) {
            *refusals.entry(code.clone()).or_default() += count;
        }
        let orders = sum(|tally| tally.orders);
        Did {
            signals: sum(|tally| tally.signals),
            bursts: stations
                .iter()
                .filter_map(|station| station.trader.as_ref())
                .map(super::trader::Trader::bursts)
                .sum(),
            orders,
            orders_per_second: orders as f64 / seconds.max(1e-6),
            heartbeats: sum(|tally| tally.heartbeats),
            registrations: sum(|tally| tally.registrations),
            executions: stations.iter().map(|station| station.executions().len() as u64).sum(),
            lines_cut: sum(|tally| tally.cuts),
            terminals_crashed: sum(|tally| tally.restarts),
            connections_lost: sum(|tally| tally.lost_lines),
            requests_resent: sum(|tally| tally.resent),
            orders_repeated: sum(|tally| tally.repeated),
            orders_looked_up: sum(|tally| tally.looked_up),
            orders_rejected: sum(|tally| tally.rejected),
            orders_expired: sum(|tally| tally.expired),
            refusals,
        }
    }
}

fn latency(stations: &[Station], delays: Vec<i64>) -> Vec<Stage> {
    let all = |field: fn(&Tally) -> &Vec<i64>| {
        stations.iter().flat_map(|station| field(&station.tally).iter().copied()).collect::<Vec<i64>>()
    };
    vec![
        Stage::of("master's terminal to desk", all(|tally| &tally.to_desk)),
        Stage::of("desk, received to decided", all(|tally| &tally.in_desk)),
        Stage::of("desk to slave's terminal", all(|tally| &tally.from_desk)),
        Stage::of("master's broker to slave's terminal", all(|tally| &tally.to_terminal)),
        Stage::of("slave's broker", all(|tally| &tally.at_broker)),
        Stage::of("broker to broker", delays),
    ]
}

impl Stage {
    fn of(stage: &'static str, mut micros: Vec<i64>) -> Stage {
        micros.sort_unstable();
        let at = |share: f64| {
            let index = ((micros.len() as f64 * share).ceil() as usize).clamp(1, micros.len().max(1)) - 1;
            micros.get(index).map_or(0.0, |micros| *micros as f64 / 1000.0)
        };
        Stage { stage, count: micros.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let stage = Stage::of("x", (1..=1000).rev().map(|millis| millis * 1000).collect());
        assert_eq!((stage.count, stage.p50, stage.p99, stage.max), (1000, 500.0, 990.0, 1000.0));
        let none = Stage::of("x", Vec::new());
        assert_eq!((none.count, none.max), (0, 0.0));
    }
}
