//! What the manifests for Kubernetes say of certificates.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use skep_tls::testkit::Authority;
use skep_tls::{Acceptor, Connector, Identity, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MANIFEST: &str = include_str!("../../../deploy/kubernetes/configuration.yaml");

/// The brokers as the manifest has them dialled.
fn hosts() -> Vec<&'static str> {
    let points = MANIFEST
        .lines()
        .find_map(|line| line.split_once("INITIALCONTACTPOINTS:"));
    let (_, points) = points.unwrap();
    let host = |point: &'static str| point.rsplit_once(':').unwrap().0;
    points.trim().split(',').map(host).collect()
}

/// The names of brokers that its comments speak of.
fn named_in_comments() -> Vec<&'static str> {
    let comments = MANIFEST.lines().filter(|line| line.trim().starts_with('#'));
    let words = comments.flat_map(str::split_whitespace);
    let words = words.map(|word| word.trim_end_matches(['.', ',', ';', ':']));
    words.filter(|word| word.starts_with("skep-")).collect()
}

/// A node's files, with a certificate for those names.
fn identity(directory: &Path, by: &Authority, names: &[&str]) -> Identity {
    let issued = by.issue_for(names.iter().copied(), 2100);
    let file = |name: &str, content: &str| {
        let path = directory.join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    Identity {
        certificate_chain: file("tls.crt", &issued.certificate),
        private_key: file("tls.key", &issued.key),
        client_authorities: Some(file("ca.crt", &by.pem())),
    }
}

/// Whether nodes with these files, one of which dials the other under that name, accept each other.
async fn accept_each_other(identity: &Identity, host: &str) -> bool {
    let acceptor = Acceptor::open(identity, Protocol::Nodes).unwrap();
    let connector = Connector::open(identity, Protocol::Nodes).unwrap();
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
        let mut connection = connector.connect(&format!("{host}:26502"), stream).await?;
        connection.read_exact(&mut [0; 5]).await
    };
    let (accepted, dialled) = tokio::join!(accepted, dialled);
    accepted.is_ok() && dialled.is_ok()
}

#[tokio::test]
async fn brokers_accept_the_certificate_that_the_manifest_recommends() {
    let (directory, authority) = (tempfile::tempdir().unwrap(), Authority::new("cluster"));
    let named = identity(directory.path(), &authority, &named_in_comments());
    for host in hosts() {
        assert!(accept_each_other(&named, host).await, "{host}");
    }
    let wildcard = identity(directory.path(), &authority, &["*.skep"]);
    assert!(!accept_each_other(&wildcard, hosts()[0]).await);
    let longer = identity(directory.path(), &authority, &["*.skep.default.svc"]);
    assert!(accept_each_other(&longer, "skep-0.skep.default.svc").await);
}
