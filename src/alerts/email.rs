//! Mail, over a server that the channel names. Its address is checked as that of a webhook is, and the connection goes to what was
//! checked; its certificate must be that of the name.

use super::message::Message;
use super::send::{Failed, Sender, Sent};
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::SmtpTransport;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls as Wire, TlsParameters};
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
    match server.build().send(&mail) {
        Ok(response) => Ok(Sent { status: response.code().to_string().parse().ok() }),
        Err(error) => Err(Failed { hopeless: error.is_permanent(), why: whole(&error) }),
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
