//! What people set for one account, whatever it is linked to.

use super::protection::Rules;
use crate::copy::settings::{Invalid, Overrides};
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
        self.copy.validate().map_err(|invalid| under("copy", invalid))?;
        self.protection.validate().map_err(|invalid| under("protection", Invalid { field: invalid.field, why: invalid.why }))
    }
}
