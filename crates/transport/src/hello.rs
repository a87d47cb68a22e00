//! What nodes say of themselves before anything else: `docs/formats/node-frame.md`. Pure functions.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use skep_protocol::NodeId;

use crate::limits::HELLO_TEXT_BYTES_MAX;

const MAGIC: &[u8; 8] = b"SKEPNODE";
const VERSION: u16 = 1;

/// Gateways that keep no partitions draw a number from here on; brokers have lower ones.
pub const GATEWAY_MIN: NodeId = NodeId(1 << 31);

/// How a cluster is laid out; all its brokers are configured alike. A gateway says zeros, and learns it from the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Brokers.
    pub cluster_size: u32,
    /// Partitions.
    pub partitions: u32,
    /// Replicas of each.
    pub replication_factor: u32,
}

/// Who a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub node: NodeId,
    /// A number drawn at each start of the process.
    pub life: u64,
    /// Its cluster.
    pub cluster: String,
    /// What its data came from: of nothing (zeros), or of which restore.
    pub incarnation: [u8; 16],
    /// How its cluster is laid out.
    pub shape: Shape,
    /// Where other nodes reach it, `host:port`; empty for one that nobody dials.
    pub address: String,
}

/// Why two nodes do not talk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mismatch {
    #[error("it is this node itself")]
    Itself,
    #[error("two nodes are configured as node {0}; give each its own nodeId")]
    SameNode(NodeId),
    #[error(
        "node {node} is of cluster '{theirs}', this one of '{ours}'; the nodes of a cluster need the same clusterName"
    )]
    Cluster {
        node: NodeId,
        theirs: String,
        ours: String,
    },
    #[error(
        "node {node} has the {theirs}, this one has the {ours}; restore the same backup on every node, or start all with empty data directories"
    )]
    Incarnation {
        node: NodeId,
        theirs: String,
        ours: String,
    },
    #[error(
        "node {node} is configured for {theirs:?}, this one for {ours:?}; clusterSize, partitionsCount and replicationFactor must be the same on every node"
    )]
    Shape {
        node: NodeId,
        theirs: Shape,
        ours: Shape,
    },
    #[error("it calls itself node {node}, but the cluster has {size} nodes, numbered from 0")]
    NoSuchNode { node: NodeId, size: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    #[error(
        "it does not speak the language of nodes; check that the address is an internal one of a broker (port 26502 by default)"
    )]
    Magic,
    #[error(
        "it speaks TLS, which this node does not; set zeebe.broker.network.security.enabled (of a gateway, zeebe.gateway.cluster.security.enabled) alike on all nodes"
    )]
    Tls,
    #[error(
        "it speaks version {0} of the nodes' language, this node version {VERSION}; run the same release on all nodes"
    )]
    Version(u16),
    #[error("its first message is damaged")]
    Damaged,
}

fn incarnation_name(incarnation: [u8; 16]) -> String {
    match incarnation == [0; 16] {
        true => "data of a cluster that was never restored".to_owned(),
        false => {
            let hex: String = incarnation.iter().map(|b| format!("{b:02x}")).collect();
            format!("data of restore {hex}")
        }
    }
}

impl Identity {
    /// Whether this node may talk to `peer`.
    pub(crate) fn check(&self, peer: &Identity) -> Result<(), Mismatch> {
        let node = peer.node;
        if node == self.node {
            return Err(match peer.life == self.life {
                true => Mismatch::Itself,
                false => Mismatch::SameNode(node),
            });
        }
        if peer.cluster != self.cluster {
            let (theirs, ours) = (peer.cluster.clone(), self.cluster.clone());
            return Err(Mismatch::Cluster { node, theirs, ours });
        }
        if self.node >= GATEWAY_MIN || node >= GATEWAY_MIN {
            // It has no data and no part in how the cluster is laid out.
            return Ok(());
        }
        if peer.shape != self.shape {
            let (theirs, ours) = (peer.shape, self.shape);
            return Err(Mismatch::Shape { node, theirs, ours });
        }
        if node.0 >= self.shape.cluster_size {
            let size = self.shape.cluster_size;
            return Err(Mismatch::NoSuchNode { node, size });
        }
        if peer.incarnation != self.incarnation {
            let [theirs, ours] = [peer, self].map(|one| incarnation_name(one.incarnation));
            return Err(Mismatch::Incarnation { node, theirs, ours });
        }
        Ok(())
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        out.put_slice(MAGIC);
        out.put_u16_le(VERSION);
        out.put_u32_le(self.node.0);
        out.put_u64_le(self.life);
        out.put_slice(&self.incarnation);
        out.put_u32_le(self.shape.cluster_size);
        out.put_u32_le(self.shape.partitions);
        out.put_u32_le(self.shape.replication_factor);
        for text in [&self.cluster, &self.address] {
            let length = u8::try_from(text.len()).expect("checked when the transport was started");
            out.put_u8(length);
            out.put_slice(text.as_bytes());
        }
        out.put_u32_le(crc32c::crc32c(&out));
        out.freeze()
    }

    pub(crate) fn decode(mut bytes: Bytes) -> Result<Identity, HelloError> {
        if bytes.len() < MAGIC.len() + 2 || bytes.split_to(MAGIC.len()) != MAGIC[..] {
            return Err(HelloError::Magic);
        }
        match bytes.get_u16_le() {
            VERSION => {}
            other => return Err(HelloError::Version(other)),
        }
        let Some(content) = bytes.len().checked_sub(4) else {
            return Err(HelloError::Damaged);
        };
        let expected = bytes.split_off(content).get_u32_le();
        let begin = crc32c::crc32c(&[&MAGIC[..], &VERSION.to_le_bytes()].concat());
        if crc32c::crc32c_append(begin, &bytes) != expected {
            return Err(HelloError::Damaged);
        }
        let identity = take(&mut bytes).ok_or(HelloError::Damaged)?;
        match bytes.is_empty() {
            true => Ok(identity),
            false => Err(HelloError::Damaged),
        }
    }

    /// Whether its texts fit into a handshake message.
    pub(crate) fn fits(&self) -> bool {
        [&self.cluster, &self.address]
            .iter()
            .all(|text| text.len() <= HELLO_TEXT_BYTES_MAX)
    }
}

fn take(bytes: &mut Bytes) -> Option<Identity> {
    let node = NodeId(bytes.try_get_u32_le().ok()?);
    let life = bytes.try_get_u64_le().ok()?;
    let mut incarnation = [0; 16];
    bytes.try_copy_to_slice(&mut incarnation).ok()?;
    let shape = Shape {
        cluster_size: bytes.try_get_u32_le().ok()?,
        partitions: bytes.try_get_u32_le().ok()?,
        replication_factor: bytes.try_get_u32_le().ok()?,
    };
    Some(Identity {
        node,
        life,
        incarnation,
        shape,
        cluster: take_text(bytes)?,
        address: take_text(bytes)?,
    })
}

fn take_text(bytes: &mut Bytes) -> Option<String> {
    let length = usize::from(bytes.try_get_u8().ok()?);
    if bytes.len() < length {
        return None;
    }
    String::from_utf8(bytes.split_to(length).into()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn identity(node: u32) -> Identity {
        Identity {
            node: NodeId(node),
            life: 7 + u64::from(node),
            cluster: "bees".to_owned(),
            incarnation: [0; 16],
            shape: Shape {
                cluster_size: 3,
                partitions: 4,
                replication_factor: 2,
            },
            address: "host:26502".to_owned(),
        }
    }

    #[test]
    fn a_hello_is_read_back_as_written_and_damage_is_noticed() {
        let whole = identity(1).encode();
        assert_eq!(Identity::decode(whole.clone()), Ok(identity(1)));
        for at in 0..whole.len() {
            let mut damaged = whole.to_vec();
            damaged[at] ^= 1;
            assert!(Identity::decode(damaged.into()).is_err(), "byte {at}");
            assert!(Identity::decode(whole.slice(..at)).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn only_nodes_of_one_cluster_talk_and_the_reason_says_what_to_mend() {
        let own = identity(0);
        assert_eq!(own.check(&identity(1)), Ok(()));
        assert_eq!(own.check(&own), Err(Mismatch::Itself));
        let refusal = |change: &dyn Fn(&mut Identity)| {
            let mut peer = identity(1);
            change(&mut peer);
            own.check(&peer).unwrap_err().to_string()
        };
        assert!(refusal(&|peer| peer.node = NodeId(0)).contains("nodeId"));
        assert!(refusal(&|peer| peer.node = NodeId(3)).contains("3 nodes"));
        assert!(refusal(&|peer| peer.cluster = "wasps".to_owned()).contains("clusterName"));
        assert!(refusal(&|peer| peer.shape.partitions = 5).contains("partitionsCount"));
        assert!(refusal(&|peer| peer.incarnation = [1; 16]).contains("restore the same backup"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>, rest: Vec<u8>) {
            let _ = Identity::decode(bytes.into());
            let mut good = [&MAGIC[..], &VERSION.to_le_bytes(), &rest].concat();
            let checksum = crc32c::crc32c(&good);
            good.extend_from_slice(&checksum.to_le_bytes());
            let _ = Identity::decode(good.into());
        }
    }
}
