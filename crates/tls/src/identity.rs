//! A certificate and its key, and whom its holder trusts, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::current::Current;
use crate::expiry::expires_at;

/// The files of a server, or of a node that is both server and client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its certificate, then those of authorities between it and a root, as PEM.
    pub certificate_chain: PathBuf,
    /// The key of the first certificate, as PEM (PKCS#8, PKCS#1 or SEC1), without a password.
    pub private_key: PathBuf,
    /// Certificates of authorities, as PEM: every client must show a certificate that one of them has signed.
    pub client_authorities: Option<PathBuf>,
}

/// The files of a client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientIdentity {
    /// Certificates of authorities that are trusted, as PEM; the system's if there is none.
    pub authorities: Option<PathBuf>,
    /// Certificate and key to show to whoever asks for one.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// What is spoken over the connection, as it is told during the handshake (ALPN, RFC 7301).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2, as gRPC needs it.
    Http2,
    /// HTTP/1.1.
    Http1,
    /// What the nodes of a cluster say to each other.
    Nodes,
}

impl Protocol {
    fn name(self) -> &'static [u8] {
        match self {
            Protocol::Http2 => b"h2",
            Protocol::Http1 => b"http/1.1",
            Protocol::Nodes => b"skep-node",
        }
    }
}

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("{what} in {}: {reason}. It must be a PEM file that the user of this process may read", path.display())]
    File {
        /// What was looked for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nobody is trusted.
    #[error("this system has no certificates of authorities; name a file of those to trust")]
    NoAuthorities,
    /// Certificate and key cannot be used.
    #[error("the certificate in {} and the key in {} cannot be used: {reason}", certificate.display(), key.display())]
    Unusable {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Identity {
    /// Seconds since 1970 at which the certificate ceases to be valid; 0 if it does not say, or cannot be read.
    pub(crate) fn expires_at(&self) -> i64 {
        let chain = certificates("a certificate", &self.certificate_chain);
        let first = chain.ok().and_then(|chain| expires_at(chain.first()?));
        first.unwrap_or(0)
    }
}

/// Makes TLS connections of accepted ones. Clones are the same.
#[derive(Clone)]
pub struct Acceptor {
    current: Arc<Current<TlsAcceptor>>,
    files: Arc<(Identity, Protocol)>,
}

impl Acceptor {
    /// Reads the files; blocking.
    pub fn open(identity: &Identity, protocol: Protocol) -> Result<Acceptor, TlsError> {
        let acceptor = Acceptor::read(identity, protocol)?;
        Ok(Acceptor {
            current: Arc::new(Current::new(acceptor)),
            files: Arc::new((identity.clone(), protocol)),
        })
    }

    /// Reads the files again; blocking. Connections from now on are accepted with them, if they can be used.
    pub fn renew(&self) -> Result<(), TlsError> {
        let (identity, protocol) = &*self.files;
        self.current.replace(Acceptor::read(identity, *protocol)?);
        Ok(())
    }

    pub(crate) fn current(&self) -> TlsAcceptor {
        self.current.get()
    }

    fn read(identity: &Identity, protocol: Protocol) -> Result<TlsAcceptor, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let (certificate, key) = (&*identity.certificate_chain, &*identity.private_key);
        let (chain, secret) = own(certificate, key)?;
        let unusable = |error| unusable(certificate, key, &error);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match &identity.client_authorities {
            Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, secret).map_err(unusable)?;
        config.alpn_protocols = vec![protocol.name().to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Makes TLS connections of those that this side has dialled. Clones are the same.
#[derive(Clone)]
pub struct Connector {
    current: Arc<Current<TlsConnector>>,
    /// Those of a node, which may change.
    files: Option<Arc<(Identity, Protocol)>>,
}

impl Connector {
    /// Reads the files; blocking. Trusted are the authorities for clients or, if there are none, what the certificate's own file
    /// holds; the certificate is shown to whoever asks for one.
    pub fn open(identity: &Identity, protocol: Protocol) -> Result<Connector, TlsError> {
        let connector = Connector::read(identity, protocol)?;
        Ok(Connector {
            current: Arc::new(Current::new(connector)),
            files: Some(Arc::new((identity.clone(), protocol))),
        })
    }

    /// Reads a node's files again; blocking. Connections from now on are dialled with them, if they can be used. Those of a client
    /// stay as they are.
    pub fn renew(&self) -> Result<(), TlsError> {
        if let Some(files) = &self.files {
            let (identity, protocol) = &**files;
            self.current.replace(Connector::read(identity, *protocol)?);
        }
        Ok(())
    }

    pub(crate) fn current(&self) -> TlsConnector {
        self.current.get()
    }

    fn read(identity: &Identity, protocol: Protocol) -> Result<TlsConnector, TlsError> {
        let trusted = identity.client_authorities.as_ref();
        let trusted = authorities(trusted.unwrap_or(&identity.certificate_chain))?;
        let files = (&*identity.certificate_chain, &*identity.private_key);
        Connector::trusting(trusted, Some(files), protocol)
    }

    /// Reads the files of a client; blocking.
    pub fn of_client(client: &ClientIdentity, protocol: Protocol) -> Result<Connector, TlsError> {
        let trusted = match &client.authorities {
            Some(path) => authorities(path)?,
            None => systems_authorities()?,
        };
        let files = client.own.as_ref();
        let files = files.map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        let connector = Connector::trusting(trusted, files, protocol)?;
        Ok(Connector {
            current: Arc::new(Current::new(connector)),
            files: None,
        })
    }

    fn trusting(
        trusted: RootCertStore,
        files: Option<(&Path, &Path)>,
        protocol: Protocol,
    ) -> Result<TlsConnector, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has ciphers for the default versions")
            .with_root_certificates(trusted);
        let mut config = match files {
            Some((certificate, key)) => {
                let (chain, secret) = own(certificate, key)?;
                let config = builder.with_client_auth_cert(chain, secret);
                config.map_err(|error| unusable(certificate, key, &error))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.name().to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own(certificate: &Path, key: &Path) -> Result<Own, TlsError> {
    let chain = certificates("a certificate", certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(unreadable("a private key", key))?;
    Ok((chain, secret))
}

fn unusable(certificate: &Path, key: &Path, error: &rustls::Error) -> TlsError {
    TlsError::Unusable {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        reason: error.to_string(),
    }
}

fn systems_authorities() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(found.certs);
    match authorities.is_empty() {
        // Errors about single files do not matter as long as something usable is found.
        false => Ok(authorities),
        true => Err(TlsError::NoAuthorities),
    }
}

const AUTHORITIES: &str = "certificates of authorities";

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(AUTHORITIES, path)? {
        authorities
            .add(certificate)
            .map_err(|error| refused(AUTHORITIES, path, &error))?;
    }
    Ok(authorities)
}

fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider)
        .build()
        .map_err(|error| refused(AUTHORITIES, path, &error))
}

/// All certificates of a file; at least one.
fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(unreadable(what, path))?;
    if all.is_empty() {
        return Err(refused(what, path, &"there is none"));
    }
    Ok(all)
}

fn unreadable<'a>(what: &'static str, path: &'a Path) -> impl Fn(pem::Error) -> TlsError + 'a {
    move |error| match error {
        pem::Error::NoItemsFound => refused(what, path, &"there is none"),
        other => refused(what, path, &other),
    }
}

fn refused(what: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        what,
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
