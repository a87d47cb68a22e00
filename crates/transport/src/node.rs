//! A node's end of all its connections.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use skep_protocol::NodeId;
use skep_tls::{HANDSHAKE_TURN, HandshakePlaces, NewConnections};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::connection::Connection;
use crate::dial::{Addresses, keep_connected, within};
use crate::frame::Channel;
use crate::handshake::{self, Refusal};
use crate::hello::{HelloError, Identity, Mismatch};
use crate::limits::{
    HANDSHAKE_PATIENCE, HANDSHAKES_MAX, NEW_CONNECTIONS, REDIAL_MIN, REFUSALS_SAID_MAX,
};
use crate::peers::Peers;
use crate::security::{self, Security};
use crate::{RequestError, SendError};

/// What a node does with what comes. Called in the order in which things came over a connection; must not block, nor call the
/// transport from [`Handler::connected`] and [`Handler::disconnected`].
pub trait Handler: Send + Sync + 'static {
    /// A node is connected; nothing has come from it yet.
    fn connected(&self, peer: &Identity);

    /// It is not any more, or another connection follows; what it was sent may or may not have arrived.
    fn disconnected(&self, peer: NodeId);

    /// A node of another cluster, of another restore or configured otherwise was refused; as long as it is there, it comes again
    /// every second or so.
    fn refused(&self, _peer: &Identity, _reason: &str) {}

    /// A message that wants no answer.
    fn message(&self, from: NodeId, channel: Channel, payload: Bytes);

    /// A request. What is done before the future first waits is done in order. An error says in words why it is not served.
    fn request(
        &self,
        from: NodeId,
        channel: Channel,
        payload: Bytes,
    ) -> BoxFuture<'static, Result<Bytes, String>>;
}

/// The bytes of a connection, with or without TLS.
pub(crate) type Stream = skep_tls::Connection;

pub(crate) struct Shared {
    pub own: Identity,
    pub security: Option<Security>,
    pub peers: Peers,
    pub addresses: Addresses,
    handler: Arc<dyn Handler>,
}

impl Shared {
    pub fn tell_refused(&self, refusal: &Refusal) {
        match refusal {
            Refusal::Mismatch(Mismatch::Itself, _) => {}
            Refusal::Mismatch(mismatch, peer) => self.handler.refused(peer, &mismatch.to_string()),
            _ => {}
        }
    }
}

/// The connections of a node. Ends with its last reference.
pub struct Transport {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

impl Transport {
    /// Begins to listen, if others are to dial this node, and to dial those addresses, on the current tokio runtime. With a
    /// certificate, in TLS alone.
    ///
    /// # Errors
    /// If a name or an address of the identity is too long.
    pub fn start(
        own: Identity,
        security: Option<Security>,
        listener: Option<TcpListener>,
        contacts: &[String],
        handler: Arc<dyn Handler>,
    ) -> std::io::Result<Transport> {
        if !own.fits() {
            return Err(std::io::Error::other(
                "the cluster's name and the node's address may have 255 bytes each",
            ));
        }
        let shared = Arc::new(Shared {
            peers: Peers::new(own.node, Arc::clone(&handler)),
            own,
            security,
            addresses: Addresses::default(),
            handler,
        });
        let transport = Transport {
            tasks: Mutex::default(),
            shared,
        };
        if let Some(listener) = listener {
            let rate = NewConnections::new(NEW_CONNECTIONS);
            let allows = move |from: IpAddr| rate.allows(from, Instant::now());
            let places = HandshakePlaces::new(HANDSHAKES_MAX, HANDSHAKE_TURN);
            transport.spawn(listen(
                Arc::clone(&transport.shared),
                listener,
                allows,
                places,
            ));
        }
        contacts.iter().for_each(|contact| transport.learn(contact));
        Ok(transport)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(task);
    }

    /// Dials an address from now on, unless it does already.
    pub fn learn(&self, address: &str) {
        if address != self.shared.own.address && self.shared.addresses.learn(address) {
            self.spawn(keep_connected(Arc::clone(&self.shared), address.to_owned()));
        }
    }

    /// The nodes that are connected.
    pub fn connected(&self) -> Vec<NodeId> {
        self.shared.peers.nodes()
    }

    /// Sends a message that wants no answer; never waits.
    pub fn tell(&self, node: NodeId, channel: Channel, payload: Bytes) -> Result<(), SendError> {
        match self.shared.peers.get(node) {
            Some(connection) => connection.tell(channel, payload),
            None => Err(SendError::NotConnected(node)),
        }
    }

    /// Sends a request, which is queued when this is called; the future waits for the answer.
    pub fn request(
        &self,
        node: NodeId,
        channel: Channel,
        payload: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Bytes, RequestError>> {
        match self.shared.peers.get(node) {
            Some(connection) => connection.request(channel, payload, patience),
            None => async move { Err(SendError::NotConnected(node).into()) }.boxed(),
        }
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        for node in self.connected() {
            if let Some(connection) = self.shared.peers.get(node) {
                connection.close();
            }
        }
    }
}

/// Takes connections in, from addresses that are allowed one.
async fn listen(
    shared: Arc<Shared>,
    listener: TcpListener,
    allows: impl Fn(IpAddr) -> bool + Send,
    mut places: HandshakePlaces,
) {
    let mut conversations = JoinSet::new();
    let refusals = Arc::new(Said::default());
    loop {
        let (stream, from) = match listener.accept().await {
            Ok((_, from)) if !allows(from.ip()) => continue,
            Ok(accepted) => accepted,
            Err(error) => {
                // No more file descriptors, most likely.
                warn!(%error, "a connection of another node could not be taken in");
                tokio::time::sleep(REDIAL_MIN).await;
                continue;
            }
        };
        let place = places.take().await;
        while conversations.try_join_next().is_some() {}
        let (shared, refusals) = (Arc::clone(&shared), Arc::clone(&refusals));
        conversations.spawn(async move {
            let Some((accepted, place)) = place.during(accept(&shared, stream)).await else {
                debug!(from = %from.ip(), "a connection on which nothing came made room for others");
                return;
            };
            drop(place);
            if let Err(refusal) = &accepted {
                shared.tell_refused(refusal);
            }
            match accepted {
                Ok((stream, connection)) => converse(&shared, stream, connection.into()).await,
                Err(Refusal::Connected(_)) => {}
                Err(Refusal::Io(error)) => debug!(%error, "a connection came to nothing"),
                // Whoever is refused comes again and again.
                Err(refusal) if refusals.is_new(from.ip(), &refusal) => {
                    warn!(from = %from.ip(), reason = %refusal, "refused a connection")
                }
                Err(_) => {}
            }
        });
    }
}

async fn accept(shared: &Shared, stream: TcpStream) -> Result<(Stream, Connection), Refusal> {
    let attempt = async {
        stream.set_nodelay(true)?;
        let mut stream = security::accepted(shared.security.as_ref(), stream).await?;
        match handshake::accept(&mut stream, &shared.own, &shared.peers).await {
            Ok(connection) => Ok((stream, connection)),
            Err(refusal) => {
                if let (Refusal::Hello(HelloError::Tls), Stream::Plain(stream)) = (&refusal, stream)
                {
                    skep_tls::no_tls(stream).await;
                }
                Err(refusal)
            }
        }
    };
    within(HANDSHAKE_PATIENCE, attempt).await
}

/// Uses a connection until it ends.
pub(crate) async fn converse(shared: &Shared, stream: Stream, connection: Arc<Connection>) {
    if !shared.peers.begin(&connection) {
        return;
    }
    let (node, address) = (connection.peer.node.0, connection.peer.address.as_str());
    info!(node, address, "connected");
    let _end = End(shared, &connection);
    let ended = match stream {
        Stream::Plain(stream) => {
            let (reader, writer) = stream.into_split();
            connection.run(reader, writer, &shared.handler).await
        }
        Stream::Tls(stream) => {
            let (reader, writer) = tokio::io::split(stream);
            connection.run(reader, writer, &shared.handler).await
        }
    };
    info!(node, reason = %ended, "disconnected");
}

/// What has been said already.
#[derive(Default)]
struct Said(Mutex<BTreeSet<String>>);

impl Said {
    fn is_new(&self, from: IpAddr, refusal: &Refusal) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.len() < REFUSALS_SAID_MAX && said.insert(format!("{from} {refusal}"))
    }
}

/// Takes a connection out even if the task is aborted.
struct End<'a>(&'a Shared, &'a Arc<Connection>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.1.close();
        self.0.peers.end(self.1);
    }
}

#[cfg(test)]
mod tests {
    use skep_rate::Rate;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::hello::{GATEWAY_MIN, Shape};
    use crate::limits::{PEERS_MAX, REDIAL_MAX};
    use crate::testkit::Nothing;

    fn shared() -> Arc<Shared> {
        let own = Identity {
            node: NodeId(0),
            life: 1,
            cluster: "bees".to_owned(),
            incarnation: [0; 16],
            shape: Shape::default(),
            address: String::new(),
        };
        let handler = Arc::new(Nothing);
        Arc::new(Shared {
            peers: Peers::new(own.node, handler.clone()),
            own,
            security: None,
            addresses: Addresses::default(),
            handler,
        })
    }

    fn places() -> HandshakePlaces {
        HandshakePlaces::new(HANDSHAKES_MAX, HANDSHAKE_TURN)
    }

    /// Whether a gateway that dials gets an answer, and its connection.
    async fn dialled(to: std::net::SocketAddr, gateway: u32) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(to).await.expect("it listens");
        let own = Identity {
            node: NodeId(GATEWAY_MIN.0 + gateway),
            ..shared().own.clone()
        };
        match handshake::dial(&mut stream, &own).await {
            Ok(_) => Some(stream),
            Err(Refusal::Io(_)) => None,
            Err(refusal) => panic!("{refusal}"),
        }
    }

    #[tokio::test]
    async fn who_dials_too_often_is_closed_at_once_and_others_and_those_connected_are_not() {
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        // Where the next connection comes from, and when.
        let next = Arc::new(Mutex::new((address(1), Instant::now())));
        let seen = Arc::clone(&next);
        let rate = NewConnections::new(Rate::new(1, 3));
        let allows = move |_: IpAddr| {
            let (from, now) = *seen.lock().expect("nobody panics with it");
            rate.allows(from, now)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let to = listener.local_addr().expect("an address");
        let listening = tokio::spawn(listen(shared(), listener, allows, places()));
        let mut first = dialled(to, 1).await.expect("the first is allowed");
        for gateway in 2..4 {
            assert!(dialled(to, gateway).await.is_some());
        }
        assert!(dialled(to, 4).await.is_none());
        next.lock().expect("nobody panics with it").0 = address(2);
        assert!(dialled(to, 5).await.is_some());
        next.lock().expect("nobody panics with it").0 = address(1);
        assert!(dialled(to, 4).await.is_none());
        next.lock().expect("nobody panics with it").1 += Duration::from_secs(2);
        assert!(dialled(to, 4).await.is_some());
        // It is given signs of life.
        assert!(first.read_u8().await.is_ok());
        listening.abort();
    }

    #[tokio::test]
    async fn those_who_say_nothing_keep_nobody_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let to = listener.local_addr().expect("an address");
        // Each silent one alone would have its place for seconds.
        let places = HandshakePlaces::new(2, Duration::from_millis(1));
        let listening = tokio::spawn(listen(shared(), listener, |_| true, places));
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(TcpStream::connect(to).await.expect("it listens"));
        }
        let dialled = tokio::time::timeout(Duration::from_secs(60), dialled(to, 1)).await;
        assert!(matches!(dialled, Ok(Some(_))));
        listening.abort();
    }

    #[test]
    fn all_nodes_behind_one_address_may_dial_as_they_do_without_an_end() {
        let rate = NewConnections::new(NEW_CONNECTIONS);
        let from = IpAddr::from([10, 0, 0, 1]);
        let begun = Instant::now();
        // All begin at once, and are refused every time.
        let mut dials: Vec<(Duration, Duration)> = vec![(Duration::ZERO, REDIAL_MIN); PEERS_MAX];
        for _ in 0..200 * PEERS_MAX {
            let first = dials.iter_mut().min_by_key(|(at, _)| *at);
            let (at, pause) = first.expect("there are nodes");
            assert!(rate.allows(from, begun + *at), "after {at:?}");
            *pause = (*pause * 2).min(REDIAL_MAX);
            *at += *pause;
        }
        // One of them comes in, and loses the connection every time.
        let later = begun + Duration::from_secs(600);
        assert!((0..2_000).all(|number| rate.allows(from, later + REDIAL_MIN * number)));
    }
}
