//! An established connection: what is written to it, what is read from it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt};
use skep_protocol::NodeId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, Take};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tracing::debug;

use crate::frame::{self, Channel, Frame, FrameError, Kind, LENGTH};
use crate::hello::Identity;
use crate::limits::{
    PAYLOAD_BYTES_MAX, PING_INTERVAL, READ_STEP, REQUESTS_SERVED_MAX, SERVED_BYTES_MAX, SILENCE_MAX,
};
use crate::node::Handler;
use crate::outbox::{Outbox, Refused};
use crate::pending::Pending;
use crate::{RequestError, SendError};

/// A connection as those see it who send.
pub(crate) struct Connection {
    pub peer: Identity,
    /// The node that dialled it.
    pub dialled_by: NodeId,
    outbox: Outbox,
    pending: Pending,
    /// What is being served, by channel: what takes long on one does not keep another from being served.
    served: [Served; Channel::COUNT],
}

/// Requests of the other side that are being served.
#[derive(Default)]
struct Served {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("nothing came for {SILENCE_MAX:?}")]
    Silence,
    #[error("it was given up for another")]
    Closed,
}

impl Connection {
    pub fn new(peer: Identity, dialled_by: NodeId) -> Connection {
        Connection {
            peer,
            dialled_by,
            outbox: Outbox::default(),
            pending: Pending::default(),
            served: Default::default(),
        }
    }

    pub fn tell(&self, channel: Channel, payload: Bytes) -> Result<(), SendError> {
        self.send(Kind::Message, channel, 0, payload)
    }

    fn send(&self, kind: Kind, channel: Channel, id: u64, payload: Bytes) -> Result<(), SendError> {
        let node = self.peer.node;
        if payload.len() > PAYLOAD_BYTES_MAX {
            let bytes = payload.len();
            return Err(SendError::TooLarge { node, bytes });
        }
        let frame = Frame {
            kind,
            channel,
            id,
            payload,
        };
        self.outbox.push(frame).map_err(|refused| match refused {
            Refused::Full => SendError::Full(node),
            Refused::Closed => SendError::NotConnected(node),
        })
    }

    /// Queues a request at once; the future waits for the answer, and withdraws the request when dropped.
    pub fn request(
        self: &Arc<Self>,
        channel: Channel,
        payload: Bytes,
        patience: Duration,
    ) -> BoxFuture<'static, Result<Bytes, RequestError>> {
        let node = self.peer.node;
        let Some(mut waiting) = self.pending.begin(channel) else {
            return async move { Err(SendError::Full(node).into()) }.boxed();
        };
        if let Err(error) = self.send(Kind::Request, channel, waiting.id, payload) {
            self.pending.forget(waiting.id);
            return async move { Err(error.into()) }.boxed();
        }
        let asked = Asked {
            connection: Arc::clone(self),
            channel,
            id: waiting.id,
        };
        async move {
            let _asked = asked;
            match timeout(patience, &mut waiting.answer).await {
                Ok(Ok(Ok(answer))) => Ok(answer),
                Ok(Ok(Err(reason))) => Err(RequestError::Refused { node, reason }),
                Ok(Err(_)) => Err(RequestError::Lost(node)),
                Err(_) => Err(RequestError::Timeout(node)),
            }
        }
        .boxed()
    }

    /// Ends it: nothing is taken in any more, and whoever waits is told.
    pub fn close(&self) {
        self.outbox.close();
        self.pending.close();
    }

    pub fn is_closed(&self) -> bool {
        self.outbox.is_closed()
    }

    /// Reads and writes until one of both ends.
    pub async fn run(
        self: &Arc<Self>,
        reader: impl AsyncRead + Unpin,
        writer: impl AsyncWrite + Unpin,
        handler: &Arc<dyn Handler>,
    ) -> Ended {
        let ended = tokio::select! {
            ended = self.write(writer) => ended,
            ended = self.read(reader, handler) => ended,
        };
        self.close();
        ended.err().unwrap_or(Ended::Closed)
    }

    async fn write(&self, writer: impl AsyncWrite + Unpin) -> Result<(), Ended> {
        let mut writer = BufWriter::with_capacity(READ_STEP, writer);
        let ping = Frame {
            kind: Kind::Ping,
            channel: Channel::new(0),
            id: 0,
            payload: Bytes::new(),
        };
        while !self.outbox.is_closed() {
            if let Some(frame) = self.outbox.try_next() {
                put(&mut writer, &frame).await?;
                continue;
            }
            writer.flush().await?;
            if timeout(PING_INTERVAL, self.outbox.filled()).await.is_err() {
                put(&mut writer, &ping).await?;
                writer.flush().await?;
            }
        }
        Err(Ended::Closed)
    }

    async fn read(
        self: &Arc<Self>,
        reader: impl AsyncRead + Unpin,
        handler: &Arc<dyn Handler>,
    ) -> Result<(), Ended> {
        let mut reader = BufReader::with_capacity(READ_STEP, reader);
        // Dropped with the connection, and with them all that are being served.
        let mut serving = Serving::default();
        loop {
            let frame = read_frame(&mut reader).await?;
            if self.is_closed() {
                return Err(Ended::Closed);
            }
            serving.tidy();
            self.take(frame, handler, &mut serving);
        }
    }

    fn take(self: &Arc<Self>, frame: Frame, handler: &Arc<dyn Handler>, serving: &mut Serving) {
        let node = self.peer.node;
        match frame.kind {
            Kind::Ping => {}
            Kind::Message => handler.message(node, frame.channel, frame.payload),
            Kind::Answer => self.pending.answer(frame.id, Ok(frame.payload)),
            Kind::Refusal => {
                let reason = String::from_utf8_lossy(&frame.payload).into_owned();
                self.pending.answer(frame.id, Err(reason));
            }
            Kind::Request => self.serve(frame, handler, serving),
            Kind::Withdrawal => serving.withdraw(frame.id),
        }
    }

    /// Begins to serve requests in the order in which they came; those that must wait do so beside one another.
    fn serve(self: &Arc<Self>, frame: Frame, handler: &Arc<dyn Handler>, serving: &mut Serving) {
        let (channel, id, bytes) = (frame.channel, frame.id, frame.payload.len());
        let Some(turn) = Turn::begin(self, channel, bytes) else {
            return self.answer(channel, id, Err("it serves too many requests".to_owned()));
        };
        let mut served = handler.request(self.peer.node, channel, frame.payload);
        if let Some(answer) = served.as_mut().now_or_never() {
            return self.answer(channel, id, answer);
        }
        let task = serving.tasks.spawn(async move {
            let answer = served.await;
            turn.connection.answer(channel, id, answer);
            id
        });
        serving.by_request.insert(id, task);
    }

    fn answer(&self, channel: Channel, id: u64, answer: Result<Bytes, String>) {
        let (kind, payload) = match answer {
            Ok(payload) => (Kind::Answer, payload),
            Err(reason) => (Kind::Refusal, Bytes::from(reason)),
        };
        if let Err(error) = self.send(kind, channel, id, payload) {
            // The peer's own patience ends its wait.
            debug!(%error, "an answer could not be sent");
        }
    }
}

/// A request of this side; withdrawn when dropped before its answer has come.
struct Asked {
    connection: Arc<Connection>,
    channel: Channel,
    id: u64,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let (connection, nothing) = (&self.connection, Bytes::new());
        if connection.pending.forget(self.id) {
            // If the queue is full, the other side serves it for nobody.
            let _ = connection.send(Kind::Withdrawal, self.channel, self.id, nothing);
        }
    }
}

/// The requests of the other side that wait for something.
#[derive(Default)]
struct Serving {
    tasks: JoinSet<u64>,
    by_request: HashMap<u64, AbortHandle>,
}

impl Serving {
    /// Forgets those that have been served.
    fn tidy(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Ok(id) = ended {
                self.by_request.remove(&id);
            }
        }
    }

    fn withdraw(&mut self, id: u64) {
        if let Some(task) = self.by_request.remove(&id) {
            task.abort();
        }
    }
}

/// A request that is being served.
struct Turn {
    connection: Arc<Connection>,
    channel: Channel,
    bytes: usize,
}

impl Turn {
    fn begin(connection: &Arc<Connection>, channel: Channel, bytes: usize) -> Option<Turn> {
        let turn = Turn {
            connection: Arc::clone(connection),
            channel,
            bytes,
        };
        let served = turn.served();
        let count = served.count.fetch_add(1, Ordering::Relaxed);
        let before = served.bytes.fetch_add(bytes, Ordering::Relaxed);
        (count < REQUESTS_SERVED_MAX && before + bytes <= SERVED_BYTES_MAX).then_some(turn)
    }

    fn served(&self) -> &Served {
        &self.connection.served[usize::from(self.channel.number())]
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let served = self.served();
        served.count.fetch_sub(1, Ordering::Relaxed);
        served.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

async fn put(writer: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let (head, checksum) = frame.head();
    writer.write_all(&head).await?;
    writer.write_all(&frame.payload).await?;
    writer.write_all(&checksum).await
}

/// Reads one frame, which may take long as long as some of it comes. Memory is taken as its bytes arrive, not as it announces them.
async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> Result<Frame, Ended> {
    let mut length = [0; LENGTH];
    heard(reader.read_exact(&mut length)).await?;
    let bytes = frame::checked_length(length)?;
    let mut read = Reading::new(reader, bytes);
    while !heard(read.step()).await? {}
    Ok(frame::decode(length, read.done())?)
}

/// What a read gives, unless the peer is silent for too long.
async fn heard<T>(read: impl Future<Output = io::Result<T>>) -> Result<T, Ended> {
    let read = timeout(SILENCE_MAX, read).await;
    Ok(read.map_err(|_| Ended::Silence)??)
}

/// Reads that many bytes.
pub(crate) async fn read_exactly(
    reader: &mut (impl AsyncRead + Unpin),
    bytes: usize,
) -> io::Result<Bytes> {
    let mut read = Reading::new(reader, bytes);
    while !read.step().await? {}
    Ok(read.done())
}

/// So many bytes, as they come.
struct Reading<R> {
    reader: Take<R>,
    read: BytesMut,
}

impl<R: AsyncRead + Unpin> Reading<R> {
    fn new(reader: R, bytes: usize) -> Reading<R> {
        Reading {
            reader: reader.take(bytes as u64),
            read: BytesMut::with_capacity(bytes.min(READ_STEP)),
        }
    }

    /// Reads what is there, and says whether that was the last of it.
    async fn step(&mut self) -> io::Result<bool> {
        if self.reader.limit() > 0 && self.reader.read_buf(&mut self.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(self.reader.limit() == 0)
    }

    fn done(self) -> Bytes {
        self.read.freeze()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_frame_may_take_long_as_long_as_some_of_it_comes() {
        let payload = Bytes::from(vec![7; 300_000]);
        let sent = Frame {
            kind: Kind::Message,
            channel: Channel::new(1),
            id: 0,
            payload: payload.clone(),
        };
        let (head, checksum) = sent.head();
        let bytes = [&head[..], &payload[..], &checksum[..]].concat();
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        let slowly = async {
            for piece in bytes.chunks(40_000) {
                tokio::time::sleep(SILENCE_MAX / 2).await;
                far.write_all(piece).await.unwrap();
            }
        };
        let (frame, ()) = tokio::join!(read_frame(&mut near), slowly);
        assert_eq!(frame.unwrap().payload, payload);
        far.write_all(&bytes[..10_000]).await.unwrap();
        let ended = read_frame(&mut near).await.err().unwrap();
        assert!(matches!(ended, Ended::Silence), "{ended}");
    }
}
