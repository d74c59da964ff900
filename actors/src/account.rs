//! The actor of one account in one role: a bounded mailbox in front of its stream.

use crate::desk::Shard;
use crate::journal::Fault;
use crate::node::Order;
use actix::{Actor, Context, Handler, Message};
use std::rc::Rc;
use tokio::sync::oneshot;

/// An order for this account, and where its answer goes.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver {
    pub order: Order,
    pub ticket: Ticket,
}

/// Where an answer goes.
#[derive(Debug)]
pub enum Ticket {
    /// Nobody waits.
    Tell,
    Ask(oneshot::Sender<Result<crate::journal::Reply, Fault>>),
}

impl Ticket {
    pub fn answer(self, answer: Result<crate::journal::Reply, Fault>) {
        match self {
            Ticket::Tell => {}
            // Who asked may have gone; the answer is in the log.
            Ticket::Ask(sender) => drop(sender.send(answer)),
        }
    }
}

pub struct AccountActor {
    shard: Rc<Shard>,
    mailbox: usize,
}

impl AccountActor {
    pub fn new(shard: Rc<Shard>, mailbox: usize) -> Self {
        AccountActor { shard, mailbox }
    }
}

impl Actor for AccountActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(self.mailbox);
    }
}

impl Handler<Deliver> for AccountActor {
    type Result = ();

    fn handle(&mut self, deliver: Deliver, _: &mut Context<Self>) {
        self.shard.submit(deliver.order, deliver.ticket);
    }
}
