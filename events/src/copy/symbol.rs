//! What does the slave call the master's symbol?

use super::settings::{Effective, Layer, Mapping, Naming};
use crate::trade::{Affixes, Contract, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the slave's name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The usual name, with what the slave's broker adds.
    Name,
    Map,
    Synonym,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    pub symbol: &'a Symbol,
    pub contract: &'a Contract,
    pub way: Way,
    pub from: Layer,
}

/// What was looked for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub tried: Vec<Symbol>,
}

/// A broker's ways with names, after what the settings say of them.
#[derive(Debug, Clone, Copy)]
struct Names<'a> {
    prefix: &'a str,
    suffix: &'a str,
    specials: &'a BTreeMap<Symbol, Symbol>,
}

impl<'a> Names<'a> {
    fn new(reported: &'a Affixes, naming: &'a Naming) -> Self {
        let (prefix, suffix) = match naming {
            Naming::Reported => (&reported.prefix, &reported.suffix),
            Naming::Fixed { prefix, suffix } => (prefix, suffix),
        };
        Names { prefix, suffix, specials: &reported.specials }
    }

    fn plain(self, symbol: &Symbol) -> Symbol {
        let special = self.specials.iter().find(|(_, broker)| *broker == symbol);
        if let Some((usual, _)) = special {
            return usual.clone();
        }
        let text = symbol.as_str();
        let text = text.strip_prefix(self.prefix).unwrap_or(text);
        let text = text.strip_suffix(self.suffix).unwrap_or(text);
        Symbol::new(text).unwrap_or_else(|_| symbol.clone())
    }

    /// What the broker may call a usual name, the likeliest first.
    fn dressed(self, plain: &Symbol) -> impl Iterator<Item = Symbol> {
        let full = Symbol::new(format!("{}{plain}{}", self.prefix, self.suffix)).ok();
        [self.specials.get(plain).cloned(), full, Some(plain.clone())].into_iter().flatten()
    }
}

/// The usual name of a master's symbol: without what its broker adds.
pub fn plain(symbol: &Symbol, master: &Affixes, settings: &Effective<'_>) -> Symbol {
    Names::new(master, settings.master_affixes.value).plain(symbol)
}

/// The slave's symbol. A mapping is taken at its word: if the slave does not have what it says, nothing else is tried.
pub fn find<'a>(
    symbol: &Symbol,
    plain: &Symbol,
    slave: &Affixes,
    table: &'a BTreeMap<Symbol, Contract>,
    settings: &Effective<'_>,
) -> Result<Found<'a>, Missing> {
    let names = Names::new(slave, settings.slave_affixes.value);
    let mut search = Search { names, table, tried: Vec::new() };
    if let Some(mapping) = mapping(settings.symbol_map.value, symbol, plain) {
        let exact = search.exact(&mapping.to).or_else(|| search.named(&mapping.to));
        return search.answer(exact, Way::Map, settings.symbol_map.from);
    }
    if let Some(found) = search.named(plain) {
        return search.answer(Some(found), Way::Name, settings.slave_affixes.from);
    }
    let group = settings.synonyms.value.iter().find(|group| group.contains(plain) || group.contains(symbol));
    let synonym = group.and_then(|group| group.iter().find_map(|name| search.named(name)));
    search.answer(synonym, Way::Synonym, settings.synonyms.from)
}

/// The broker's own name is looked up before the usual one.
fn mapping<'a>(map: &'a [Mapping], symbol: &Symbol, plain: &Symbol) -> Option<&'a Mapping> {
    let of = |name: &Symbol| map.iter().find(|mapping| mapping.from == *name);
    of(symbol).or_else(|| of(plain))
}

struct Search<'a, 'n> {
    names: Names<'n>,
    table: &'a BTreeMap<Symbol, Contract>,
    tried: Vec<Symbol>,
}

/// As many names as a record says were tried.
const TRIED_MAX: usize = 6;

impl<'a> Search<'a, '_> {
    fn named(&mut self, plain: &Symbol) -> Option<(&'a Symbol, &'a Contract)> {
        self.names.dressed(plain).find_map(|name| self.exact(&name))
    }

    fn exact(&mut self, name: &Symbol) -> Option<(&'a Symbol, &'a Contract)> {
        let found = self.table.get_key_value(name);
        if found.is_none() && self.tried.len() < TRIED_MAX && !self.tried.contains(name) {
            self.tried.push(name.clone());
        }
        found
    }

    fn answer(self, found: Option<(&'a Symbol, &'a Contract)>, way: Way, from: Layer) -> Result<Found<'a>, Missing> {
        let Some((symbol, contract)) = found else { return Err(Missing { tried: self.tried }) };
        Ok(Found { symbol, contract, way, from })
    }
}
