//! The feed: business events for tools, as they become durable. Who does not keep up loses some, and reads them from the log.

use crate::http::Data;
use crate::nng::Sockets;
use std::sync::Arc;
use tidehelm_events::envelope::Class;

/// Publishes until the desk ends.
pub async fn keep(app: Data, sockets: Arc<Sockets>) {
    if sockets.bound().feed.is_empty() {
        return;
    }
    let mut at = app.host.durable.head().position;
    let mut head = app.host.durable.subscribe();
    while head.changed().await.is_ok() {
        let Some(batches) = app.host.durable.recent(at) else {
            // So far behind that they are not in memory any more: the next ones are what matters here.
            at = app.host.durable.head().position;
            continue;
        };
        let Some(desk) = app.host.durable.read(|fold| fold.truth.desk_id()) else { continue };
        for batch in batches {
            for record in batch.records.iter().filter(|record| record.position > at) {
                if record.event.class() != Class::Business {
                    continue;
                }
                let stream = app.host.durable.read(|fold| fold.truth.names().get(record.stream).cloned());
                let Some(stream) = stream else { continue };
                let envelope = record.envelope(desk, &stream);
                if let Ok(document) = serde_json::to_vec(&envelope) {
                    sockets.publish(&envelope.kind, &document);
                }
            }
            at = at.max(batch.head.position);
        }
    }
}
