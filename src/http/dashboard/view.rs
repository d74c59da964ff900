//! The dashboard in one piece, as it is answered.

use serde::Serialize;
use tidehelm_events::time::Timestamp;
use tidehelm_events::view::endpoints::{EndpointRow, Minute, Overview, Stats, TpsRow};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct OverviewView {
    /// In the order of their names.
    #[schema(value_type = Vec<serde_json::Value>)]
    pub endpoints: Vec<EndpointRow>,
    #[schema(value_type = serde_json::Value)]
    pub stats: Stats,
    /// Sixty minutes in UTC, oldest first.
    #[schema(value_type = Vec<serde_json::Value>)]
    pub history: Vec<Minute>,
    #[schema(value_type = Vec<serde_json::Value>)]
    pub endpoint_tps: Vec<TpsRow>,
    /// Microseconds since 1970.
    #[schema(value_type = i64)]
    pub generated_at: Timestamp,
    pub generation_time_ms: f64,
    /// The position that this reflects.
    pub position: u64,
}

impl OverviewView {
    pub fn of(overview: Overview, generation_time_ms: f64) -> Self {
        let Overview { endpoints, stats, history, endpoint_tps, generated_at, position } = overview;
        let position = position.0;
        OverviewView { endpoints, stats, history, endpoint_tps, generated_at, generation_time_ms, position }
    }
}
