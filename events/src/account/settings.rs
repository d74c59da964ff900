//! What people set for one account, whatever it is linked to.

use super::protection::Rules;
use crate::copy::settings::{Invalid, Overrides, validate};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    /// Over what the group and the link say, for a slave; under what the group says, for a master.
    pub copy: Overrides,
    /// A slave waits until all its masters are connected.
    pub require_all_masters: bool,
    pub protection: Rules,
}

impl Default for AccountSettings {
    fn default() -> Self {
        AccountSettings { copy: Overrides::default(), require_all_masters: true, protection: Rules::default() }
    }
}

impl AccountSettings {
    /// What makes no sense, with the field's path.
    pub fn validate(&self) -> Result<(), Invalid> {
        let under = |path: &str, invalid: Invalid| Invalid { field: format!("{path}.{}", invalid.field), ..invalid };
        validate(&self.copy).map_err(|invalid| under("copy", invalid))?;
        let rules = self.protection.validate();
        rules.map_err(|wrong| {
            under("protection", Invalid { field: wrong.field.to_string(), why: wrong.why.to_string() })
        })
    }
}
