//! Parameters with their default and their range, each said once.

use crate::market::Ratio;

/// What may stand in a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    pub field: &'static str,
    pub default: String,
    pub least: String,
    pub most: String,
    pub doc: &'static str,
}

/// So many thousandths.
pub(super) const fn milli(thousandths: i64) -> Ratio {
    Ratio(thousandths * 1_000_000)
}

/// Makes a struct of parameters: its defaults, its ranges for people, and the check of them.
macro_rules! params {
    ($(#[$meta:meta])* pub struct $name:ident { $(
        #[doc = $doc:literal]
        $field:ident: $type:ty = $default:expr, $least:expr => $most:expr;
    )* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $( #[doc = $doc] pub $field: $type ),* }

        impl Default for $name {
            fn default() -> Self {
                $name { $( $field: $default ),* }
            }
        }
        impl $name {
            pub fn ranges() -> Vec<$crate::strategy::taker::Range> {
                vec![$( $crate::strategy::taker::Range {
                    field: stringify!($field),
                    default: { let default: $type = $default; default.to_string() },
                    least: { let least: $type = $least; least.to_string() },
                    most: { let most: $type = $most; most.to_string() },
                    doc: $doc.trim_ascii(),
                } ),*]
            }
            /// Refuses the first field that is out of its range, in the order in which they stand.
            pub(super) fn in_range(&self) -> Result<(), $crate::strategy::taker::Refusal> {
                $({
                    let (least, most): ($type, $type) = ($least, $most);
                    if self.$field < least || self.$field > most {
                        let why = format!("{least} to {most}, not {}", self.$field);
                        return Err($crate::strategy::taker::Refusal::ParamInvalid { field: stringify!($field), why });
                    }
                })*
                Ok(())
            }
        }
    };
}
pub(super) use params;

/// Refuses where the one is above the other.
pub(super) fn in_order<T: PartialOrd + std::fmt::Display>(
    (field, low): (&'static str, T),
    (above, high): (&'static str, T),
) -> Result<(), super::Refusal> {
    if low <= high {
        return Ok(());
    }
    Err(super::Refusal::ParamInvalid { field, why: format!("not above `{above}` ({high}), not {low}") })
}
