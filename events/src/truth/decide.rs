//! What a stream decides about a command, whichever stream it is.

use super::{State, Truth};
use crate::account::{self, Account};
use crate::alert::{self, Alerts};
use crate::answer::Denial;
use crate::desk::{self, Desk};
use crate::endpoint::{self, Endpoint, Proxy};
use crate::event::Event;
use crate::id::{StreamId, StreamNo};
use crate::market::{self, Market};
use crate::order;
use crate::strategy::{self, guard};
use crate::stream::{Decision, Seen, Stream};

/// What can be wanted of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Desk(desk::Command),
    Account(account::Command),
    Endpoint(endpoint::Command),
    Proxy(endpoint::ProxyCommand),
    Alerts(alert::Command),
    Guard(guard::Command),
    Market(market::Command),
    Strategy(strategy::Command),
    Venue(order::Command),
}

impl Truth {
    /// What follows from the command, or why not. `stream` is the number of the stream that it is for, if it has one: it is looked
    /// up once for each order, since this is most of what a heartbeat costs.
    pub fn decide(
        &self,
        to: &StreamId,
        command: &Command,
        stream: Option<StreamNo>,
        seen: &Seen<'_>,
    ) -> Result<Decision<Event>, Denial> {
        match (to, command) {
            (StreamId::Desk, Command::Desk(command)) => {
                let new = Desk::default();
                let decided = self.desk().unwrap_or(&new).decide(command.clone(), seen);
                decided.map(|decision| decision.map(Event::Desk)).map_err(|refusal| refusal.denial())
            }
            (StreamId::Account(role, id), Command::Account(command)) => {
                if let account::Command::Link { master, .. } = command
                    && master != id
                    && let Some(way) = self.circle(id, master)
                {
                    let way = way.iter().map(|account| format!("{account} → ")).collect::<String>();
                    return Err(account::Refusal::LinkCircular(format!("{way}{id}")).denial());
                }
                let new;
                let account = match stream.and_then(|number| self.slot(number)).map(|slot| &slot.state) {
                    Some(State::Account(account)) => account,
                    _ => {
                        new = Box::new(Account::new(*role, id.clone()));
                        &new
                    }
                };
                let decided = account.decide(command.clone(), seen);
                decided.map(|decision| decision.map(Event::Account)).map_err(|refusal| refusal.denial())
            }
            (StreamId::Endpoint(id), Command::Endpoint(command)) => {
                let new = Endpoint::new(*id);
                let decided = self.endpoint(*id).unwrap_or(&new).decide(command.clone(), seen);
                decided.map(|decision| decision.map(Event::Endpoint)).map_err(|refusal| refusal.denial())
            }
            (StreamId::Proxy, Command::Proxy(command)) => {
                let new = Proxy::default();
                let decided = self.proxy().unwrap_or(&new).decide(command.clone(), seen);
                decided.map(|decision| decision.map(Event::Endpoint)).map_err(|refusal| refusal.denial())
            }
            (StreamId::Alerts, Command::Alerts(command)) => {
                let new = Alerts::default();
                let decided = self.alerts().unwrap_or(&new).decide(command.clone(), seen);
                decided.map(|decision| decision.map(Event::Alert)).map_err(|refusal| refusal.denial())
            }
            (StreamId::Guard, Command::Guard(command)) => {
                let decided = self.guarding().decide(command.clone(), seen);
                decided.map(|decision| decision.map(Event::Guard)).map_err(|refusal| refusal.denial())
            }
            (StreamId::Market(id), Command::Market(command)) => {
                let new;
                let market = match stream.and_then(|number| self.slot(number)).map(|slot| &slot.state) {
                    Some(State::Market(market)) => market,
                    _ => {
                        new = Box::new(Market::new(id.clone()));
                        &new
                    }
                };
                let decided = market.decide(command.clone(), seen);
                decided.map(|decision| decision.map(Event::Market)).map_err(|refusal| refusal.denial())
            }
            (StreamId::Strategy(id), Command::Strategy(command)) => self.decide_strategy(id, command, seen),
            (StreamId::Venue(id), Command::Venue(command)) => self.decide_venue(id, command, seen),
            (to, _) => unreachable!("a command for {to} that is of another kind of stream"),
        }
    }
}
