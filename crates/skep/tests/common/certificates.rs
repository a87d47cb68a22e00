//! Certificates of real processes.

use std::path::Path;

use skep_tls::testkit::Files;

use super::Place;

/// Sets the variables of TLS that begin with that, such as `ZEEBE_BROKER_NETWORK`.
pub fn secure(place: &mut Place, begin: &str, files: &Files, authorities: Option<&Path>) {
    let mut set = |name: &str, value: &str| {
        place.set(&format!("{begin}_SECURITY_{name}"), value);
    };
    set("ENABLED", "true");
    set("CERTIFICATECHAINPATH", files.certificate.to_str().unwrap());
    set("PRIVATEKEYPATH", files.key.to_str().unwrap());
    if let Some(authorities) = authorities {
        set("CLIENTAUTHORITIESPATH", authorities.to_str().unwrap());
    }
}
