//! Authorities made for a test, and what they sign.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// Signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
pub struct Issued {
    /// The certificate alone.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// The files of a certificate.
#[derive(Clone)]
pub struct Files {
    /// The certificate alone.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// Of that name.
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(vec![]).expect("no names are fine");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("there is randomness");
        Authority(CertifiedIssuer::self_signed(params, key).expect("its own key fits"))
    }

    /// Its own certificate, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Its own certificate, as a file.
    pub fn file(&self, directory: &Path, name: &str) -> PathBuf {
        written(directory, &format!("{name}.pem"), &self.pem())
    }

    /// Signs a certificate for a host that is valid until that year.
    pub fn issue(&self, host: &str, until: i32) -> Issued {
        self.issue_for([host], until)
    }

    /// Signs a certificate for several hosts that is valid until that year.
    pub fn issue_for<'a>(&self, hosts: impl IntoIterator<Item = &'a str>, until: i32) -> Issued {
        let key = KeyPair::generate().expect("there is randomness");
        let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(hosts).expect("names of hosts");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.0);
        Issued {
            certificate: certificate.expect("an authority may sign").pem(),
            key: key.serialize_pem(),
        }
    }

    /// Signs a certificate for this machine that is valid today.
    pub fn sign(&self, directory: &Path, name: &str) -> Files {
        self.sign_until(directory, name, 2100)
    }

    /// Signs one that is valid until that year.
    pub fn sign_until(&self, directory: &Path, name: &str, year: i32) -> Files {
        let Issued { certificate, key } = self.issue("127.0.0.1", year);
        Files {
            certificate: written(directory, &format!("{name}.pem"), &certificate),
            key: written(directory, &format!("{name}.key"), &key),
        }
    }
}

fn written(directory: &Path, name: &str, content: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).expect("the directory can be written to");
    path
}
