//! Sets the desk up for a fleet: a trade group for each master, a member for each link, all switched on.

use super::cast::{BelowMin, Cast, Link, Terms, Volume};
use crate::cli::output::{CliError, Exit};
use crate::source::Server;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Makes what is not there yet, and brings the rest to what the cast says.
pub fn prepare(server: &Server, cast: &Cast) -> Result<(), CliError> {
    let known = Known::of(server)?;
    for master in &cast.masters {
        let account = &master.account;
        if known.groups.contains(account.as_str()) {
            server.send("POST", &format!("/api/trade-groups/{account}/toggle"), Some(&json!({"enabled": true})))?;
        } else {
            let group = json!({"master_account": account, "enabled": true});
            server.send("POST", "/api/trade-groups", Some(&group))?;
        }
    }
    for link in &cast.links {
        set_member(server, link, &known)?;
    }
    Ok(())
}

/// How many members of the cast's groups copy now.
pub fn ready(server: &Server) -> Result<usize, CliError> {
    let groups: Value = server.get("/api/trade-groups")?;
    let members =
        groups["trade_groups"].as_array().into_iter().flatten().filter_map(|group| group["members"].as_array());
    Ok(members.flatten().filter(|member| member["allow_new_orders"] == true).count())
}

/// What the desk has already.
struct Known {
    groups: BTreeSet<String>,
    /// Versions of members, by master and slave.
    members: BTreeMap<(String, String), u64>,
}

impl Known {
    fn of(server: &Server) -> Result<Known, CliError> {
        let found: Value = server.get("/api/trade-groups").map_err(|error| match error.exit {
            Exit::Blocked => error.hint("the fleet sets up trade groups: give it a token of an operator with --token"),
            _ => error,
        })?;
        let (mut groups, mut members) = (BTreeSet::new(), BTreeMap::new());
        for group in found["trade_groups"].as_array().into_iter().flatten() {
            let Some(master) = group["master_account"].as_str() else { continue };
            groups.insert(master.to_string());
            for member in group["members"].as_array().into_iter().flatten() {
                let slave = member["slave_account"].as_str().unwrap_or_default().to_string();
                members.insert((master.to_string(), slave), member["version"].as_u64().unwrap_or_default());
            }
        }
        Ok(Known { groups, members })
    }
}

fn set_member(server: &Server, link: &Link, known: &Known) -> Result<(), CliError> {
    let (master, slave) = (link.master.as_str(), link.slave.as_str());
    let members = format!("/api/trade-groups/{master}/members");
    let settings = settings(&link.terms);
    match known.members.get(&(master.to_string(), slave.to_string())) {
        Some(version) => {
            let body = json!({"enabled": true, "slave_settings": settings, "version": version});
            server.send("PUT", &format!("{members}/{slave}"), Some(&body))?;
        }
        None => {
            let body = json!({"slave_account": slave, "enabled": true, "slave_settings": settings});
            server.send("POST", &members, Some(&body))?;
        }
    }
    Ok(())
}

/// The terms of a link, as the desk calls them.
fn settings(terms: &Terms) -> Value {
    let volume = match terms.volume {
        Volume::Fixed(lots) => json!({"fixed": lots.to_string()}),
        Volume::Multiplier(factor) => json!({"multiplier": factor.to_string()}),
        Volume::BalanceRatio => json!({"ratio_balance": "1"}),
    };
    let below_min = match terms.below_min {
        BelowMin::Skip => "skip",
        BelowMin::Force => "force",
    };
    let age_ms = terms.age_max.0 / 1000;
    json!({
        "volume": volume,
        "reverse": terms.reverse,
        "below_min": below_min,
        "above_max": "clamp",
        "signal_age_max_ms": age_ms,
        "order_deadline_ms": age_ms,
        "retries_max": 5,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidehelm_events::copy::Overrides;
    use tidehelm_events::time::Span;

    #[test]
    fn terms_are_settings_that_the_desk_understands() {
        for volume in
            [Volume::Fixed("0.1".parse().unwrap()), Volume::Multiplier("2".parse().unwrap()), Volume::BalanceRatio]
        {
            let terms = Terms { volume, reverse: true, below_min: BelowMin::Force, age_max: Span::seconds(60) };
            let overrides: Overrides = serde_json::from_value(settings(&terms)).unwrap();
            assert_eq!(overrides.signal_age_max_ms, Some(60_000));
            assert_eq!(overrides.reverse, Some(true));
            tidehelm_events::copy::settings::validate(&overrides).unwrap();
        }
    }
}
