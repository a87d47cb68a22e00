//! Nodes on real connections: messages, requests, order, restarts, and peers that send nonsense.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use skep_protocol::NodeId;
use skep_transport::{
    Channel, GATEWAY_MIN, Handler, Identity, RequestError, SendError, Shape, Transport,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

const COMMANDS: Channel = Channel::new(1);
/// Only what hangs needs as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests of so many zeros are not answered.
const LARGE: usize = 4 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Connected(u32, u64),
    Disconnected(u32),
    Message(u32, Bytes),
}

/// Notes everything; answers requests with what they hold, but for some.
#[derive(Default)]
struct Notes {
    served: Arc<()>,
    seen: Mutex<Vec<Seen>>,
    changed: Notify,
}

impl Notes {
    fn note(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
        self.changed.notify_one();
    }

    async fn until(&self, holds: impl Fn(&[Seen]) -> bool) {
        let wait = async {
            while !holds(&self.seen.lock().unwrap()) {
                self.changed.notified().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "{:?}", self.seen.lock().unwrap());
    }

    async fn connected(&self, node: u32, times: usize) {
        let is = |seen: &&Seen| matches!(seen, Seen::Connected(found, _) if *found == node);
        self.until(|seen| seen.iter().filter(is).count() >= times)
            .await;
    }
}

impl Handler for Notes {
    fn connected(&self, peer: &Identity) {
        self.note(Seen::Connected(peer.node.0, peer.life));
    }

    fn disconnected(&self, peer: NodeId) {
        self.note(Seen::Disconnected(peer.0));
    }

    fn message(&self, from: NodeId, channel: Channel, payload: Bytes) {
        assert_eq!(channel, COMMANDS);
        self.note(Seen::Message(from.0, payload));
    }

    fn request(
        &self,
        _from: NodeId,
        _channel: Channel,
        payload: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, String>> {
        let served = Arc::clone(&self.served);
        async move {
            let _served = served;
            match &payload[..] {
                b"never" => std::future::pending().await,
                large if large == vec![0; LARGE] => std::future::pending().await,
                b"no" => Err("no".to_owned()),
                _ => Ok(payload),
            }
        }
        .boxed()
    }
}

struct Node {
    transport: Transport,
    notes: Arc<Notes>,
    address: String,
}

fn identity(node: u32, life: u64, address: &str) -> Identity {
    Identity {
        node: NodeId(node),
        life,
        cluster: "bees".to_owned(),
        incarnation: [0; 16],
        shape: Shape {
            cluster_size: 3,
            partitions: 3,
            replication_factor: 3,
        },
        address: address.to_owned(),
    }
}

async fn listener(address: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn node_at(at: &str, node: u32, life: u64, contacts: &[&str]) -> Node {
    let (listener, address) = listener(at).await;
    let notes = Arc::new(Notes::default());
    let contacts: Vec<String> = contacts.iter().map(|&one| one.to_owned()).collect();
    let own = identity(node, life, &address);
    let transport = Transport::start(own, None, Some(listener), &contacts, notes.clone()).unwrap();
    Node {
        transport,
        notes,
        address,
    }
}

async fn node(node: u32, contacts: &[&str]) -> Node {
    node_at("127.0.0.1:0", node, u64::from(node), contacts).await
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn messages_arrive_in_order_and_requests_are_answered_in_both_directions() {
    let one = node(1, &[]).await;
    let two = node(2, &[&one.address]).await;
    one.notes.connected(2, 1).await;
    two.notes.connected(1, 1).await;
    let sent: Vec<Bytes> = (0..2_000u32)
        .map(|number| Bytes::copy_from_slice(&number.to_le_bytes()))
        .collect();
    for message in &sent {
        let told = one.transport.tell(NodeId(2), COMMANDS, message.clone());
        assert_eq!(told, Ok(()));
    }
    let messages = |seen: &[Seen]| -> Vec<Bytes> {
        let messages = seen.iter().filter_map(|seen| match seen {
            Seen::Message(1, message) => Some(message.clone()),
            _ => None,
        });
        messages.collect()
    };
    two.notes.until(|seen| messages(seen).len() == 2_000).await;
    assert_eq!(messages(&two.notes.seen.lock().unwrap()), sent);
    let large = Bytes::from(vec![7; 9 << 20]);
    let answer = two
        .transport
        .request(NodeId(1), COMMANDS, large.clone(), PATIENCE)
        .await;
    assert_eq!(answer, Ok(large));
    let refused = two
        .transport
        .request(NodeId(1), COMMANDS, text("no"), PATIENCE)
        .await;
    let reason = "no".to_owned();
    let node = NodeId(1);
    assert_eq!(refused, Err(RequestError::Refused { node, reason }));
    let short = Duration::from_millis(1);
    let late = two
        .transport
        .request(NodeId(1), COMMANDS, text("never"), short)
        .await;
    assert_eq!(late, Err(RequestError::Timeout(NodeId(1))));
}

#[tokio::test]
async fn whoever_dials_whom_there_is_one_connection_for_each_pair() {
    let (free, address) = listener("127.0.0.1:0").await;
    drop(free);
    let zero = node(0, &[&address]).await;
    let one = node_at(&address, 1, 1, &[&zero.address, &address]).await;
    zero.notes.connected(1, 1).await;
    one.notes.connected(0, 1).await;
    // After dialling from both sides there is one over which both go on.
    for _ in 0..100 {
        let ask = || {
            one.transport
                .request(NodeId(0), COMMANDS, text("?"), PATIENCE)
        };
        let answered = async {
            while ask().await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, answered).await.is_ok());
    }
    assert_eq!(zero.transport.connected(), [NodeId(1)]);
    assert_eq!(one.transport.connected(), [NodeId(0)]);
}

#[tokio::test]
async fn a_node_that_restarts_is_found_again_and_who_waited_is_told() {
    let one = node(1, &[]).await;
    let two = node(2, &[&one.address]).await;
    two.notes.connected(1, 1).await;
    let asked = two
        .transport
        .request(NodeId(1), COMMANDS, text("never"), PATIENCE);
    let address = one.address.clone();
    drop(one);
    assert_eq!(asked.await, Err(RequestError::Lost(NodeId(1))));
    two.notes
        .until(|seen| seen.contains(&Seen::Disconnected(1)))
        .await;
    let gone = two.transport.tell(NodeId(1), COMMANDS, text("?"));
    assert_eq!(gone, Err(SendError::NotConnected(NodeId(1))));
    let again = node_at(&address, 1, 77, &[]).await;
    two.notes
        .until(|seen| seen.contains(&Seen::Connected(1, 77)))
        .await;
    again.notes.connected(2, 1).await;
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_any_more_is_not_served_on() {
    let one = node(1, &[]).await;
    let two = node(2, &[&one.address]).await;
    two.notes.connected(1, 1).await;
    let ask = |text| {
        let request = two.transport.request(NodeId(1), COMMANDS, text, PATIENCE);
        tokio::spawn(request)
    };
    let asked = ask(text("never"));
    let served = || Arc::strong_count(&one.notes.served) - 1;
    let until = async |wanted| {
        while served() != wanted {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, until(1)).await.is_ok());
    asked.abort();
    assert!(tokio::time::timeout(PATIENCE, until(0)).await.is_ok());
    assert_eq!(ask(text("?")).await.unwrap(), Ok(text("?")));
}

/// Commands that wait for long must not keep consensus from being heard.
#[tokio::test]
async fn what_waits_on_one_channel_keeps_no_other_from_being_served() {
    let one = node(1, &[]).await;
    let two = node(2, &[&one.address]).await;
    two.notes.connected(1, 1).await;
    let ask = |channel, payload| two.transport.request(NodeId(1), channel, payload, PATIENCE);
    let other = Channel::new(0);
    for unanswered in [Bytes::from(vec![0; LARGE]), text("never")] {
        let mut waiting = Vec::new();
        while ask(COMMANDS, text("?")).await.is_ok() {
            assert!(waiting.len() <= 4_096, "it serves any number");
            waiting.push(tokio::spawn(ask(COMMANDS, unanswered.clone())));
        }
        assert_eq!(ask(other, text("?")).await, Ok(text("?")));
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        let answered = async {
            while ask(COMMANDS, text("?")).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, answered).await.is_ok());
    }
}

#[tokio::test]
async fn a_gateway_that_nobody_dials_talks_to_brokers_of_any_shape() {
    let one = node(1, &[]).await;
    let gateway = Identity {
        incarnation: [9; 16],
        shape: Shape::default(),
        ..identity(GATEWAY_MIN.0 + 7, 7, "")
    };
    let notes = Arc::new(Notes::default());
    let contacts = [one.address.clone()];
    let transport = Transport::start(gateway, None, None, &contacts, notes.clone()).unwrap();
    one.notes.connected(GATEWAY_MIN.0 + 7, 1).await;
    notes.connected(1, 1).await;
    let answer = transport.request(NodeId(1), COMMANDS, text("?"), PATIENCE);
    assert_eq!(answer.await, Ok(text("?")));
}

#[tokio::test]
async fn a_silent_peer_costs_a_bounded_queue_and_is_given_up() {
    let one = node(1, &[]).await;
    // Says hello, then neither reads nor writes.
    let mut peer = TcpStream::connect(&one.address).await.unwrap();
    peer.write_all(&hello_of(|_| {}).await).await.unwrap();
    one.notes.connected(2, 1).await;
    let chunk = Bytes::from(vec![0; 1 << 20]);
    let mut queued = 0;
    let refused = loop {
        match one.transport.tell(NodeId(2), COMMANDS, chunk.clone()) {
            Ok(()) => queued += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, SendError::Full(NodeId(2)));
    assert!(queued <= 32, "{queued} MiB are queued");
    one.notes
        .until(|seen| seen.contains(&Seen::Disconnected(2)))
        .await;
}

/// The first message of a node, taken from one that dials.
async fn hello_of(change: impl FnOnce(&mut Identity)) -> Vec<u8> {
    let (dialled, there) = listener("127.0.0.1:0").await;
    let (own, address) = listener("127.0.0.1:0").await;
    let mut identity = identity(2, 2, &address);
    change(&mut identity);
    let notes = Arc::new(Notes::default());
    let _dialler = Transport::start(identity, None, Some(own), &[there], notes).unwrap();
    let (mut stream, _) = dialled.accept().await.unwrap();
    let length = stream.read_u32_le().await.unwrap();
    let mut hello = vec![0; length as usize];
    stream.read_exact(&mut hello).await.unwrap();
    [&length.to_le_bytes()[..], &hello].concat()
}

/// Sends bytes to a node, and gives what it says until it ends the connection.
async fn answer_to(node: &Node, bytes: &[u8]) -> String {
    let mut peer = TcpStream::connect(&node.address).await.unwrap();
    peer.write_all(bytes).await.unwrap();
    peer.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // An error is an end, too.
    let ended = tokio::time::timeout(PATIENCE, peer.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "{bytes:?} was not refused");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn nonsense_ends_its_connection_and_nothing_else() {
    let one = node(1, &[]).await;
    let two = node(2, &[&one.address]).await;
    two.notes.connected(1, 1).await;
    let hello = hello_of(|identity| identity.node = NodeId(0)).await;
    let nonsense: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        &[0, 0, 0, 0],
        &hello[..20],
        // A frame of 4 GiB is announced.
        &[&hello[..], &[0xff; 4]].concat(),
        &[&hello[..], &[14, 0, 0, 0], &[1; 14]].concat(),
    ];
    for bytes in nonsense {
        answer_to(&one, bytes).await;
    }
    let answer = two
        .transport
        .request(NodeId(1), COMMANDS, text("?"), PATIENCE)
        .await;
    assert_eq!(answer, Ok(text("?")));
}

#[tokio::test]
async fn nodes_of_different_clusters_do_not_talk() {
    let one = node(1, &[]).await;
    type Change = fn(&mut Identity);
    let changes: [(Change, &str); 4] = [
        (
            |identity| identity.cluster = "wasps".to_owned(),
            "clusterName",
        ),
        (
            |identity| identity.incarnation = [9; 16],
            "restore the same backup",
        ),
        (
            |identity| identity.shape.replication_factor = 1,
            "replicationFactor",
        ),
        (|identity| identity.node = NodeId(1), "nodeId"),
    ];
    for (change, reason) in changes {
        let answer = answer_to(&one, &hello_of(change).await).await;
        assert!(answer.contains(reason), "{answer}");
    }
    assert_eq!(*one.notes.seen.lock().unwrap(), []);
    assert!(
        !answer_to(&one, &hello_of(|_| {}).await)
            .await
            .contains("same")
    );
    one.notes.connected(2, 1).await;
}

#[tokio::test]
async fn a_connection_in_use_is_not_replaced_by_dialling_the_node_that_made_it() {
    let one = node(1, &[]).await;
    let two = node(2, &[&one.address]).await;
    two.notes.connected(1, 1).await;
    let request = two
        .transport
        .request(NodeId(1), COMMANDS, text("never"), PATIENCE);
    let asked = tokio::spawn(request);
    one.transport.learn(&two.address);
    // What is learnt after it is dialled after it.
    let zero = node(0, &[]).await;
    one.transport.learn(&zero.address);
    one.notes.connected(0, 1).await;
    for _ in 0..100 {
        let answer = one
            .transport
            .request(NodeId(0), COMMANDS, text("?"), PATIENCE);
        assert_eq!(answer.await, Ok(text("?")));
    }
    assert!(!asked.is_finished(), "{:?}", asked.await);
    let seen = one.notes.seen.lock().unwrap();
    assert!(!seen.contains(&Seen::Disconnected(2)), "{seen:?}");
}
