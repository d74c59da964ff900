//! Messages as they stand on the wire: `{"position", "type", "data"}`. Each is made once, for every session that gets it.

use super::view::{CountersView, DeskView, EndpointGone, GroupGone, GroupView, MemberGone, SettingsView, TotalsView};
use crate::http::accounts::AccountView;
use crate::http::groups::Member;
use bytestring::ByteString;
use serde::Serialize;
use tidehelm_events::id::{EndpointId, Position, StreamId};
use tidehelm_events::view::Fold;
use tidehelm_events::view::endpoints::EndpointRow;
use tidehelm_events::view::live::{How, Thing};

/// A message of this type, which reflects this position.
pub fn frame(position: Position, kind: &str, data: &impl Serialize) -> ByteString {
    #[derive(Serialize)]
    struct Frame<'a, T> {
        position: Position,
        #[serde(rename = "type")]
        kind: &'a str,
        data: &'a T,
    }
    match serde_json::to_string(&Frame { position, kind, data }) {
        Ok(text) => text.into(),
        Err(error) => unreachable!("a message that is no JSON: {error}"),
    }
}

/// An endpoint as the overview shows it. What is under way is not in the log, so that it is not told here.
fn endpoint_row(fold: &Fold, id: EndpointId) -> Option<EndpointRow> {
    fold.views.endpoints.one(&fold.truth, id, fold.truth.time(), 0)
}

/// The message that tells a thing as it is now. None for an account that was never there.
pub fn told(fold: &Fold, position: Position, thing: &Thing, how: How) -> Option<ByteString> {
    Some(match thing {
        Thing::Desk => frame(position, "desk_updated", &DeskView::of(fold)),
        Thing::Settings => frame(position, "settings_updated", &SettingsView::of(fold)),
        Thing::Account(role, id) => {
            let account = fold.truth.account(&StreamId::Account(*role, id.clone()))?;
            frame(position, "connection_changed", &AccountView::of(account))
        }
        Thing::Group(master) => {
            let account = fold.truth.account(&StreamId::master(master))?;
            match GroupView::of(account) {
                Some(group) => frame(position, "trade_group_updated", &group),
                None => frame(position, "trade_group_deleted", &GroupGone { master_account: master.to_string() }),
            }
        }
        Thing::Member { slave, master } => match Member::of(fold, master, slave) {
            Some(member) if how == How::Added => frame(position, "member_added", &member),
            Some(member) => frame(position, "member_updated", &member),
            None => frame(position, "member_deleted", &MemberGone::of(slave, master)),
        },
        Thing::Endpoint(id) => match endpoint_row(fold, *id) {
            Some(row) if how == How::Added => frame(position, "endpoint_registered", &row),
            Some(row) => frame(position, "endpoint_status_changed", &row),
            None => frame(position, "endpoint_removed", &EndpointGone::of(fold, *id)?),
        },
        Thing::Counters(id) => frame(position, "counters_updated", &CountersView::of(&endpoint_row(fold, *id)?)),
        Thing::Totals => frame(position, "counters_updated", &TotalsView::of(fold)),
        Thing::Speed(id) => {
            let speeds = fold.views.endpoints.speeds_of(&fold.truth, *id, fold.truth.time())?;
            frame(position, "tps_updated", &speeds)
        }
    })
}
