//! Whom certificates of endpoints are believed by: the usual authorities, and one's own.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {why}", path.display())]
pub struct TrustError {
    path: PathBuf,
    why: String,
}

static CLIENT: OnceLock<Arc<ClientConfig>> = OnceLock::new();

/// How every connection to an endpoint over TLS is made: probes and the proxy's.
pub fn client() -> Arc<ClientConfig> {
    CLIENT.get_or_init(|| made_with(usual())).clone()
}

/// Believes the authorities in a PEM file, too. For the start, before the first connection is made.
pub fn trust(path: &Path) -> Result<(), TrustError> {
    let failed = |why: String| TrustError { path: path.into(), why };
    let mut roots = usual();
    let before = roots.len();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.len() == before {
        return Err(failed("there is no certificate in it".into()));
    }
    CLIENT.set(made_with(roots)).map_err(|_| failed("connections were made before it was read".into()))
}

fn usual() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn made_with(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    match ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions() {
        Ok(config) => Arc::new(config.with_root_certificates(roots).with_no_client_auth()),
        Err(error) => unreachable!("ring knows the usual versions of TLS: {error}"),
    }
}
