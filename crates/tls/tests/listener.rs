//! Real connections over loopback with certificates made here.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use skep_tls::testkit::Authority;
use skep_tls::{Acceptor, Connector, Identity, Listener, Protocol, TlsError, Watched, explain};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

fn authority() -> Authority {
    Authority::new("ours")
}

/// Certificate and key, as PEM, that the authority has signed for this machine.
fn signed(by: &Authority) -> (String, String) {
    let issued = by.issue("localhost", 2100);
    (issued.certificate, issued.key)
}

fn file(directory: &Path, name: &str, content: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn identity(directory: &Path, by: &Authority, clients: Option<&Authority>) -> Identity {
    let (certificate, key) = signed(by);
    Identity {
        certificate_chain: file(directory, "chain.pem", &certificate),
        private_key: file(directory, "key.pem", &key),
        client_authorities: clients.map(|one| file(directory, "clients.pem", &one.pem())),
    }
}

async fn listening(tls: Option<Acceptor>) -> (Listener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = Listener::new(listener, Protocol::Http1, tls, 100);
    (listener.unwrap(), address)
}

/// Answers every connection with what it sends, in capitals.
async fn shout(mut listener: Listener) {
    loop {
        let (mut connection, _) = listener.accept().await;
        let mut bytes = [0; 5];
        if connection.read_exact(&mut bytes).await.is_ok() {
            connection
                .write_all(&bytes.to_ascii_uppercase())
                .await
                .unwrap();
            connection.flush().await.unwrap();
        }
    }
}

fn connector(trusted: &Authority, own: Option<(String, String)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    TlsConnector::from(Arc::new(config))
}

/// What the server answers over TLS, or that it does not.
async fn asked(connector: &TlsConnector, address: SocketAddr) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(b"hello").await?;
    stream.flush().await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    Ok(String::from_utf8(answer.to_vec()).unwrap())
}

#[tokio::test]
async fn without_tls_bytes_go_as_they_are() {
    let (listener, address) = listening(None).await;
    tokio::spawn(shout(listener));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HELLO");
}

#[tokio::test]
async fn who_trusts_the_authority_is_served_and_who_trusts_another_is_not() {
    let (directory, ours, other) = (tempfile::tempdir().unwrap(), authority(), authority());
    let identity = identity(directory.path(), &ours, None);
    let (listener, address) =
        listening(Some(Acceptor::open(&identity, Protocol::Http2).unwrap())).await;
    tokio::spawn(shout(listener));
    assert_eq!(
        asked(&connector(&ours, None), address).await.unwrap(),
        "HELLO"
    );
    assert!(asked(&connector(&other, None), address).await.is_err());
}

#[tokio::test]
async fn a_client_that_is_silent_holds_up_no_other() {
    let (directory, ours) = (tempfile::tempdir().unwrap(), authority());
    let identity = identity(directory.path(), &ours, None);
    let (listener, address) =
        listening(Some(Acceptor::open(&identity, Protocol::Http1).unwrap())).await;
    tokio::spawn(shout(listener));
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut garbage = TcpStream::connect(address).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(
        asked(&connector(&ours, None), address).await.unwrap(),
        "HELLO"
    );
}

#[tokio::test]
async fn with_an_authority_for_clients_only_those_with_its_certificate_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let (servers, clients, other) = (authority(), authority(), authority());
    let identity = identity(directory.path(), &servers, Some(&clients));
    let (listener, address) =
        listening(Some(Acceptor::open(&identity, Protocol::Http2).unwrap())).await;
    tokio::spawn(shout(listener));
    let known = connector(&servers, Some(signed(&clients)));
    assert_eq!(asked(&known, address).await.unwrap(), "HELLO");
    let unknown = connector(&servers, Some(signed(&other)));
    assert!(asked(&unknown, address).await.is_err());
    assert!(asked(&connector(&servers, None), address).await.is_err());
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let (directory, ours) = (tempfile::tempdir().unwrap(), authority());
    let good = identity(directory.path(), &ours, None);
    let opened = |identity: &Identity| match Acceptor::open(identity, Protocol::Http2) {
        Ok(_) => panic!("these files cannot be used"),
        Err(error) => error,
    };
    let absent = directory.path().join("absent.pem");
    let broken = file(directory.path(), "broken.pem", "no certificate");
    let (_, other_key) = signed(&ours);
    let other_key = file(directory.path(), "other.pem", &other_key);
    for (identity, names) in [
        (
            Identity {
                certificate_chain: absent.clone(),
                ..good.clone()
            },
            "absent.pem",
        ),
        (
            Identity {
                certificate_chain: broken.clone(),
                ..good.clone()
            },
            "broken.pem",
        ),
        (
            Identity {
                private_key: broken.clone(),
                ..good.clone()
            },
            "broken.pem",
        ),
        (
            Identity {
                client_authorities: Some(broken),
                ..good.clone()
            },
            "broken.pem",
        ),
    ] {
        let error = opened(&identity);
        assert!(matches!(error, TlsError::File { .. }), "{error}");
        assert!(error.to_string().contains(names), "{error}");
    }
    let error = opened(&Identity {
        private_key: other_key,
        ..good
    });
    assert!(matches!(error, TlsError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("other.pem"), "{error}");
}

/// What the two sides of a handshake say of each other, the one that was dialled first; nothing if it succeeds. The alert of a
/// certificate that is refused comes only with the first bytes that are read.
async fn handshake(server: &Identity, client: &Identity, host: &str) -> [Option<String>; 2] {
    let acceptor = Acceptor::open(server, Protocol::Nodes).unwrap();
    let connector = Connector::open(client, Protocol::Nodes).unwrap();
    shaken(&acceptor, &connector, host).await
}

/// The same of those that have been opened.
async fn shaken(acceptor: &Acceptor, connector: &Connector, host: &str) -> [Option<String>; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = acceptor.accept(stream).await?;
        connection.write_all(b"hello").await?;
        connection.flush().await
    };
    let dialled = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let named = format!("{host}:{}", address.port());
        let mut connection = connector.connect(&named, stream).await?;
        connection.write_all(&[0; 1000]).await?;
        connection.read_exact(&mut [0; 5]).await
    };
    let (accepted, dialled) = tokio::join!(accepted, dialled);
    [accepted.err(), dialled.err()].map(|error| Some(explain(&error?).unwrap()))
}

#[tokio::test]
async fn of_nodes_that_do_not_accept_each_other_both_are_told_why() {
    let directories = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [here, there, strange] = directories.each_ref().map(tempfile::TempDir::path);
    let (ours, other) = (authority(), Authority::new("other"));
    let server = identity(here, &ours, Some(&ours));
    let client = identity(there, &ours, Some(&ours));
    assert_eq!(handshake(&server, &client, "localhost").await, [None, None]);

    let [told, why] = handshake(&server, &client, "127.0.0.1").await;
    assert!(told.unwrap().contains("does not accept the certificate"));
    let why = why.unwrap();
    assert!(why.contains("not valid for name"), "{why}");

    let stranger = identity(strange, &other, Some(&ours));
    let [why, told] = handshake(&server, &stranger, "localhost").await;
    assert!(why.unwrap().contains("UnknownIssuer"));
    assert!(told.unwrap().contains("does not accept the certificate"));
}

#[tokio::test]
async fn whoever_comes_while_all_places_are_taken_waits_until_one_is_free() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut listener = Listener::new(listener, Protocol::Http1, None, 1).unwrap();
    let dialled = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream
    };
    let _first = dialled().await;
    let (first, _) = listener.accept().await;
    let mut second = dialled().await;
    let early = tokio::time::timeout(std::time::Duration::from_millis(100), listener.accept());
    assert!(early.await.is_err(), "there is one place");
    drop(first);
    let (mut accepted, _) = listener.accept().await;
    accepted.write_all(b"hello").await.unwrap();
    second.read_exact(&mut [0; 5]).await.unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_a_broken_one_never() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (authority(), Authority::new("new"));
    let files = identity(directory.path(), &old, None);
    let open = |files: &Identity| Acceptor::open(files, Protocol::Http2);
    let opened = Watched::open("test", files.clone(), open, Acceptor::renew);
    let (acceptor, watched) = opened.unwrap();
    let (listener, address) = listening(Some(acceptor)).await;
    tokio::spawn(shout(listener));
    let served = async |by: &Authority| asked(&connector(by, None), address).await.is_ok();
    watched.look();
    assert_eq!(watched.changes(), (0, 0));
    assert!(served(&old).await && !served(&new).await);
    let expires_at = watched.expires_at();

    // Its key has not been written yet.
    let (certificate, key) = signed(&new);
    file(directory.path(), "chain.pem", &certificate);
    watched.look();
    watched.look();
    assert_eq!(watched.changes(), (0, 1), "it is refused once");
    assert_eq!(watched.expires_at(), expires_at);
    assert!(served(&old).await && !served(&new).await);
    file(directory.path(), "key.pem", &key);
    watched.look();
    assert_eq!(watched.changes(), (1, 1));
    assert!(!served(&old).await && served(&new).await);

    std::fs::remove_file(&files.private_key).unwrap();
    watched.look();
    assert_eq!(watched.changes(), (1, 2));
    assert!(served(&new).await);
}

#[tokio::test]
async fn a_connection_outlives_the_certificate_that_it_began_with() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (authority(), Authority::new("new"));
    let files = identity(directory.path(), &old, None);
    let acceptor = Acceptor::open(&files, Protocol::Http1).unwrap();
    let (mut listener, address) = listening(Some(acceptor.clone())).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let trusting = connector(&old, None);
    let mut dialled = trusting.connect(name, stream).await.unwrap();
    dialled.write_all(b"hello").await.unwrap();
    dialled.flush().await.unwrap();
    let (mut accepted, _) = listener.accept().await;
    let _ = identity(directory.path(), &new, None);
    acceptor.renew().unwrap();
    dialled.write_all(b" there").await.unwrap();
    dialled.flush().await.unwrap();
    let mut bytes = [0; 11];
    accepted.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello there");
    tokio::spawn(shout(listener));
    assert!(asked(&connector(&old, None), address).await.is_err());
}

#[tokio::test]
async fn a_nodes_new_authorities_and_certificate_hold_in_both_directions() {
    let directories = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [here, there] = directories.each_ref().map(tempfile::TempDir::path);
    let (old, new) = (authority(), Authority::new("new"));
    let (server, client) = (
        identity(here, &old, Some(&old)),
        identity(there, &old, Some(&old)),
    );
    let acceptor = Acceptor::open(&server, Protocol::Nodes).unwrap();
    let connector = Connector::open(&client, Protocol::Nodes).unwrap();
    let talk = async || shaken(&acceptor, &connector, "localhost").await;
    assert_eq!(talk().await, [None, None]);
    let _ = identity(here, &new, Some(&new));
    acceptor.renew().unwrap();
    assert!(talk().await.iter().all(Option::is_some));
    let _ = identity(there, &new, Some(&new));
    connector.renew().unwrap();
    assert_eq!(talk().await, [None, None]);
}
