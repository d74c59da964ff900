//! Messages as they stand on the wire: `{"position", "type", "data"}`. Each is made once, for every session that gets it.

use super::view::{DeskView, GroupGone, GroupView, MemberGone, SettingsView};
use crate::http::accounts::AccountView;
use crate::http::groups::Member;
use bytestring::ByteString;
use serde::Serialize;
use tidehelm_events::id::{Position, StreamId};
use tidehelm_events::view::Fold;
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
    })
}
