//! Nodes that speak TLS. Who is refused is shown with whole brokers.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use skep_protocol::NodeId;
use skep_tls::testkit::{Authority, Issued};
use skep_transport::{Channel, Handler, Identity, Security, Shape, Transport};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Only what hangs needs as long.
const PATIENCE: Duration = Duration::from_secs(60);
const CHANNEL: Channel = Channel::new(0);

/// A node's certificate for a host, with the authority behind it in the chain file or in one of its own.
fn security(directory: &Path, by: &Authority, host: &str, mutual: bool) -> Security {
    let Issued {
        certificate: mut chain,
        key,
    } = by.issue(host, 2100);
    if !mutual {
        chain.push_str(&by.pem());
    }
    let [chain_file, key_file, authorities] =
        ["chain", "key", "authorities"].map(|name| directory.join(format!("{host}-{name}.pem")));
    std::fs::write(&chain_file, chain).unwrap();
    std::fs::write(&key_file, key).unwrap();
    std::fs::write(&authorities, by.pem()).unwrap();
    Security::open(&skep_tls::Identity {
        certificate_chain: chain_file,
        private_key: key_file,
        client_authorities: mutual.then_some(authorities),
    })
    .unwrap()
}

/// Answers requests with what they hold.
struct Echo(watch::Sender<usize>);

impl Handler for Echo {
    fn connected(&self, _peer: &Identity) {
        self.0.send_modify(|connected| *connected += 1);
    }

    fn disconnected(&self, _peer: NodeId) {}

    fn message(&self, _from: NodeId, _channel: Channel, _payload: Bytes) {}

    fn request(
        &self,
        _from: NodeId,
        _channel: Channel,
        payload: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, String>> {
        async move { Ok(payload) }.boxed()
    }
}

struct Node {
    transport: Transport,
    address: String,
    connected: watch::Receiver<usize>,
}

async fn node(number: u32, security: Security, contacts: &[String]) -> Node {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let own = Identity {
        node: NodeId(number),
        life: u64::from(number),
        cluster: "bees".to_owned(),
        incarnation: [0; 16],
        shape: Shape {
            cluster_size: 3,
            partitions: 1,
            replication_factor: 1,
        },
        address: address.clone(),
    };
    let (seen, connected) = watch::channel(0);
    let handler = Arc::new(Echo(seen));
    let transport =
        Transport::start(own, Some(security), Some(listener), contacts, handler).unwrap();
    Node {
        transport,
        address,
        connected,
    }
}

/// Waits until they are connected.
async fn connected(one: &mut Node, other: &mut Node) {
    for node in [one, other] {
        let heard = node.connected.wait_for(|connected| *connected > 0);
        tokio::time::timeout(PATIENCE, heard)
            .await
            .unwrap()
            .unwrap();
    }
}

#[tokio::test]
async fn large_and_many_requests_come_through_in_both_directions() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    for mutual in [false, true] {
        let security = security(directory.path(), &authority, "127.0.0.1", mutual);
        let mut zero = node(0, security.clone(), &[]).await;
        let mut one = node(1, security, &[zero.address.clone()]).await;
        connected(&mut zero, &mut one).await;
        let large = Bytes::from(vec![7; 9 << 20]);
        let ask = |from: &Node, to: u32, payload: &Bytes| {
            from.transport
                .request(NodeId(to), CHANNEL, payload.clone(), PATIENCE)
        };
        let (there, back) = tokio::join!(ask(&zero, 1, &large), ask(&one, 0, &large));
        assert_eq!((there.unwrap(), back.unwrap()), (large.clone(), large));
        for number in 0..200_u32 {
            let payload = Bytes::copy_from_slice(&number.to_le_bytes());
            assert_eq!(ask(&one, 0, &payload).await.unwrap(), payload);
        }
    }
}
