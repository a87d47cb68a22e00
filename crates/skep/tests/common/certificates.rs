//! Authorities made for a test, and what they sign.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

use super::Place;

/// Signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The files of a certificate.
#[derive(Clone)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its own certificate, as a file.
    pub fn file(&self, directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(format!("{name}.pem"));
        std::fs::write(&path, self.0.pem()).unwrap();
        path
    }

    /// Signs a certificate for this machine that is valid today.
    pub fn sign(&self, directory: &Path, name: &str) -> Files {
        self.sign_until(directory, name, 2100)
    }

    /// Signs one that is valid until that year.
    pub fn sign_until(&self, directory: &Path, name: &str, year: i32) -> Files {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let files = Files {
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

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
