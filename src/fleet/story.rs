//! What the brokers did about a trade, for whoever wants to know how it came to what was found.

use super::broker::{Execution, What};
use super::reference::{Evidence, Finding, Outage};
use tidehelm_events::id::{AccountId, Role};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::Ticket;

/// Only outages near what happened are told.
const AROUND: Span = Span::seconds(20);

/// In the order of time: what the master's broker did to the trade, the slave's to its copy, and who was away meanwhile.
pub fn story(finding: &Finding, evidence: &Evidence<'_>) -> Vec<String> {
    let (Some(master), Some(ticket)) = (&finding.master, finding.ticket) else { return vec![] };
    let executions = |books: &[super::reference::Book<'_>], account: &AccountId| -> Vec<Execution> {
        let found = books.iter().find(|book| book.account == account);
        found.map(|book| book.executions.to_vec()).unwrap_or_default()
    };
    let mut lines: Vec<(Timestamp, String)> = Vec::new();
    let own = executions(&evidence.masters, master);
    lines.extend(own.iter().filter(|did| concerns(&did.what, ticket)).map(|did| (did.at, line("master", did))));
    let copied = executions(&evidence.slaves, &finding.slave);
    let of = |did: &&Execution| did.tag.as_ref().is_some_and(|tag| tag.master == *master && tag.ticket == ticket);
    lines.extend(copied.iter().filter(of).map(|did| (did.at, line("slave", did))));
    let times = lines.iter().map(|(at, _)| *at);
    let (first, last) = (times.clone().min().unwrap_or_default(), times.max().unwrap_or_default());
    for Outage { who, from, to } in evidence.outages {
        let who = match who {
            None => "desk",
            Some((Role::Master, account)) if account == master => "master",
            Some((Role::Slave, account)) if *account == finding.slave => "slave",
            Some(_) => continue,
        };
        if *to + AROUND > first && *from < last + AROUND {
            lines.push((*from, format!("{who} away until {to}")));
        }
    }
    lines.sort();
    lines.into_iter().map(|(at, line)| format!("{at} {line}")).collect()
}

fn line(who: &str, did: &Execution) -> String {
    let tag = did.tag.as_ref().map(|tag| format!(" for {}", tag.order)).unwrap_or_default();
    format!("{who} {:?}{tag}", did.what)
}

fn concerns(what: &What, of: Ticket) -> bool {
    match what {
        What::Dealt { ticket, .. }
        | What::Placed { ticket, .. }
        | What::Triggered { ticket, .. }
        | What::Withdrawn { ticket, .. }
        | What::Modified { ticket } => *ticket == of,
        What::Unfilled { .. } | What::Refused { .. } => false,
    }
}
