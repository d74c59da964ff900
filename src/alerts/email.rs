//! Mail, over a server that the channel names. Its address is checked as that of a webhook is, and the connection goes to what was
//! checked; its certificate must be that of the name.

use super::message::Message;
use super::send::{Failed, Sender, Sent};
use lettre::address::Envelope;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::SmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls as Wire, TlsParameters};
use lettre::transport::smtp::response::Response;
use lettre::{Message as Mail, Transport};
use tidehelm_events::alert::{Tls, Way};

pub fn send(sender: &Sender, way: &Way, secret: Option<&str>, message: &Message) -> Result<Sent, Failed> {
    let Way::Email { host, port, tls, user, from, to } = way else { unreachable!("the way of a mail is mail") };
    let mail = mail(from, to, message)?;
    let found = sender.guard.resolve(host, *port).map_err(|error| Failed::for_now(format!("{host}: {error}")))?;
    let address = found.first().ok_or_else(|| Failed::for_now(format!("{host} has no address")))?;
    let parameters = || TlsParameters::new(host.clone()).map_err(|error| Failed::for_good(error.to_string()));
    let wire = match tls {
        Tls::Wrapped => Wire::Wrapper(parameters()?),
        Tls::Starttls => Wire::Required(parameters()?),
        Tls::Off => Wire::None,
    };
    let server = SmtpTransport::builder_dangerous(address.ip().to_string()).port(*port).tls(wire);
    let server = server.timeout(Some(sender.within));
    let server = match (user, secret) {
        (Some(user), Some(password)) => server.credentials(Credentials::new(user.clone(), password.to_string())),
        _ => server,
    };
    let (server, mail_text) = (server.build(), mail.formatted());
    match server.send_raw(mail.envelope(), &mail_text) {
        Ok(response) => Ok(sent(&response)),
        Err(error) if error.status().is_some() && to.len() > 1 => one_by_one(&server, mail.envelope(), &mail_text),
        Err(error) => Err(Failed::for_now(whole(&error))),
    }
}

fn sent(response: &Response) -> Sent {
    Sent { status: response.code().to_string().parse().ok() }
}

/// Who is refused does not silence the others: it is taken if anybody's is.
fn one_by_one(server: &SmtpTransport, all: &Envelope, mail: &[u8]) -> Result<Sent, Failed> {
    let (mut taken, mut refused) = (None, Vec::new());
    for whom in all.to() {
        let one = Envelope::new(all.from().cloned(), vec![whom.clone()]);
        let outcome = one
            .map_err(|error| whole(&error))
            .and_then(|one| server.send_raw(&one, mail).map(|response| sent(&response)).map_err(|error| whole(&error)));
        match outcome {
            Ok(sent) => taken = Some(sent),
            Err(why) => refused.push(format!("{whom}: {why}")),
        }
    }
    let why = refused.join("; ");
    match taken {
        Some(sent) => {
            if !why.is_empty() {
                tracing::warn!(why, "a mail of an alert was taken for some of its recipients only");
            }
            Ok(sent)
        }
        None => Err(Failed::for_now(why)),
    }
}

fn mail(from: &str, to: &[String], message: &Message) -> Result<Mail, Failed> {
    let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|error| Failed::for_good(format!("{text}: {error}")));
    let mut mail = Mail::builder().from(mailbox(from)?).subject(&message.subject);
    for whom in to {
        mail = mail.to(mailbox(whom)?);
    }
    let domain = from.rsplit_once('@').map_or("tidehelm", |(_, domain)| domain);
    let mail = mail.message_id(Some(format!("<{}@{domain}>", message.id))).header(ContentType::TEXT_PLAIN);
    mail.body(message.text.clone()).map_err(|error| Failed::for_good(error.to_string()))
}

/// What went wrong, with what caused it.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
