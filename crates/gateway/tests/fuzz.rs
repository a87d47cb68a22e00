//! Fuzz targets of what clients send: JSON documents of variables, and requests as bytes on the wire.
//!
//! Each target runs its corpus (testdata/fuzz/) and then mutations of it, as many as are done in a few seconds, by a fresh seed.
//! `SKEP_FUZZ_SECONDS=600 cargo test --release -p skep-gateway --test fuzz` goes on for longer; `SKEP_FUZZ_SEED=…` repeats a run. An
//! input that fails is printed as a line for the corpus.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};
use futures::StreamExt;
use futures::stream;
use skep_gateway::proto::{PublishMessageRequest, TopologyRequest};
use skep_gateway::{GatewayConfig, LongPollingConfig, document};
use skep_protocol::names::NAME_BYTES_MAX;
use support::{Fake, Served, batch, echo, start_with, wanted};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

const DEFAULT_SECONDS: u64 = 3;
/// Calls under way at once; polls wait.
const CALLS: usize = 64;

/// How long a client listens to a stream.
const LEAVES_AFTER: Duration = Duration::from_millis(100);

/// A small generator with a seed (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    /// By a fresh seed, or by the one that is asked for.
    fn new() -> Random {
        let given = std::env::var("SKEP_FUZZ_SEED").ok();
        let seed = given.map_or_else(
            || RandomState::new().hash_one(1),
            |seed| seed.parse().unwrap(),
        );
        println!("SKEP_FUZZ_SEED={seed}");
        Random(seed | 1)
    }

    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.next(12)).map(|_| self.next(256) as u8).collect()
    }
}

/// Some places of `bytes` replaced by pieces, by other places of it, by noise, or by nothing.
fn mutate(bytes: &mut Vec<u8>, pieces: &[&[u8]], random: &mut Random) {
    for _ in 0..=random.next(4) {
        let at = random.next(bytes.len() + 1);
        let length = random.next(20).min(bytes.len() - at);
        let replacement = match random.next(5) {
            0 | 1 => pieces[random.next(pieces.len())].to_vec(),
            2 if !bytes.is_empty() => {
                let from = random.next(bytes.len());
                bytes[from..(from + random.next(100)).min(bytes.len())].to_vec()
            }
            3 => random.bytes(),
            _ => Vec::new(),
        };
        bytes.splice(at..at + length, replacement);
    }
}

fn until() -> Instant {
    let seconds = std::env::var("SKEP_FUZZ_SECONDS").ok();
    let seconds = seconds.map_or(DEFAULT_SECONDS, |seconds| seconds.parse().unwrap());
    Instant::now() + Duration::from_secs(seconds)
}

/// The lines of a corpus; those that begin with `#` say something about the others.
fn corpus(name: &str) -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/fuzz");
    let text = std::fs::read_to_string(directory.join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

const JSON_PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00",
    b"null",
    b"true",
    b"-",
    b"0",
    b"1e999",
    b"1E-400",
    b"0.1",
    b"99999999999999999999999999999999",
    b"{\"a\":",
    b"[[[[[[[[[[[[[[[[",
    b"\xff",
    b"\xc3\xa4",
    b"\xf0\x9f\x90\x9d",
    b"\n",
    b"\x00",
    b"\x7f",
    b"\xef\xbb\xbf",
    b"\"a\":1,\"a\":2",
    b" ",
];

/// What comes out of a document is what everybody behind the gateway relies on.
fn check_document(text: &str) {
    let Ok(document_text) = document(text.to_owned()) else {
        return;
    };
    if document_text.is_empty() {
        return;
    }
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&document_text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert!(!object.is_empty(), "{text}");
    assert!(
        object.keys().all(|name| name.len() <= NAME_BYTES_MAX),
        "{text}"
    );
    assert_eq!(
        document(document_text.clone()).as_deref(),
        Ok(&*document_text),
        "{text}: not the same when it is checked again"
    );
}

#[test]
fn any_text_is_a_document_of_variables_or_refused() {
    let corpus = corpus("variables.txt");
    corpus.iter().for_each(|line| check_document(line));
    let (mut random, until) = (Random::new(), until());
    let (mut taken, mut tried) = (0, 0);
    while Instant::now() < until {
        let mut bytes = corpus[random.next(corpus.len())].clone().into_bytes();
        mutate(&mut bytes, JSON_PIECES, &mut random);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        tried += 1;
        taken += u32::from(document(text.clone()).is_ok_and(|text| !text.is_empty()));
        let checked = std::panic::catch_unwind(|| check_document(&text));
        assert!(checked.is_ok(), "for testdata/fuzz/variables.txt:\n{text}");
    }
    println!("{tried} documents, {taken} of them taken");
    assert!(
        taken > tried / 200,
        "mutations that are all refused find nothing"
    );
}

/// Messages as they are on the wire.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;
    fn encoder(&mut self) -> Raw {
        Raw
    }
    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, bytes: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(bytes);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A call and the bytes of its request: a line of the corpus.
#[derive(Clone)]
struct Call {
    method: String,
    bytes: Vec<u8>,
}

impl Call {
    fn parse(line: &str) -> Call {
        let (method, hex) = line.split_once(' ').unwrap();
        let digits = hex.as_bytes().chunks(2);
        let byte =
            |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        Call {
            method: method.to_owned(),
            bytes: digits.map(byte).collect(),
        }
    }

    fn line(&self) -> String {
        let hex: String = self
            .bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{} {hex}", self.method)
    }

    /// How the call ends.
    async fn send(&self, channel: Channel) -> Code {
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let mut request = Request::new(Bytes::from(self.bytes.clone()));
        request.set_timeout(Duration::from_millis(50));
        let path = format!("/gateway_protocol.Gateway/{}", self.method);
        let path = PathAndQuery::try_from(path).unwrap();
        let answers = match client.server_streaming(request, path, Raw).await {
            Err(status) => return status.code(),
            Ok(answers) => answers.into_inner(),
        };
        let mut answers = std::pin::pin!(answers);
        let reading = async {
            while let Some(answer) = answers.next().await {
                if let Err(status) = answer {
                    return status.code();
                }
            }
            Code::Ok
        };
        // A stream of jobs goes on until its client leaves.
        let read = tokio::time::timeout(LEAVES_AFTER, reading).await;
        read.unwrap_or(Code::Ok)
    }
}

const WIRE_PIECES: &[&[u8]] = &[
    b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\x0a",
    b"\x12",
    b"\x1a",
    b"\x0b",
    b"\x0c",
    b"\x00",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\x0a\x02{}",
    b"\x12\x09{\"a\":[1]}",
    b"\x0a\x02\xff\xfe",
    b"<default>",
    b"\x08\x81\x80\x80\x80\x80\x80\x80\x04",
    b"\x7f",
    b"\xf8\x01\x01",
    b"<?xml version='1.0'?>",
];

async fn gateway() -> (Served, Channel) {
    let answer_nothing = |command: &skep_protocol::Command| match wanted(command) {
        Some(_) => batch(Vec::new()),
        None => echo(command),
    };
    let brokers = Fake::new(3, move |_, command| answer_nothing(command));
    let config = GatewayConfig {
        request_timeout: Duration::from_millis(50),
        long_polling: LongPollingConfig {
            timeout: Duration::from_millis(50),
            ..LongPollingConfig::default()
        },
        ..GatewayConfig::default()
    };
    let served = start_with(brokers, config).await;
    let channel = Endpoint::from_shared(served.address.clone()).unwrap();
    (served, channel.connect_lazy())
}

/// Codes that say what is wrong. UNKNOWN and the like come from a server that was taken by surprise.
const SURPRISED: [Code; 4] = [
    Code::Unknown,
    Code::Aborted,
    Code::DataLoss,
    Code::OutOfRange,
];

async fn check_calls(channel: &Channel, calls: Vec<Call>) -> BTreeSet<(String, i32)> {
    let results = stream::iter(calls).map(|call| async {
        let code = call.send(channel.clone()).await;
        assert!(
            !SURPRISED.contains(&code),
            "{code:?}; for testdata/fuzz/grpc.txt:\n{}",
            call.line()
        );
        (call.method, code as i32)
    });
    results.buffer_unordered(CALLS).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_bytes_are_a_request_or_refused_with_a_status_that_says_so() {
    let corpus: Vec<Call> = corpus("grpc.txt")
        .iter()
        .map(|line| Call::parse(line))
        .collect();
    let (served, channel) = gateway().await;
    let mut seen = check_calls(&channel, corpus.clone()).await;
    let (mut random, until, mut tried) = (Random::new(), until(), 0);
    while Instant::now() < until {
        // Each round in front of brokers that have seen nothing yet.
        let (mut served, channel) = gateway().await;
        let calls: Vec<Call> = (0..20 * CALLS)
            .map(|_| {
                let mut call = corpus[random.next(corpus.len())].clone();
                mutate(&mut call.bytes, WIRE_PIECES, &mut random);
                if random.next(8) == 0 {
                    call.method = corpus[random.next(corpus.len())].method.clone();
                }
                call
            })
            .collect();
        tried += calls.len();
        seen.extend(check_calls(&channel, calls).await);
        served.client.topology(TopologyRequest {}).await.unwrap();
        let message = PublishMessageRequest::default();
        served.client.publish_message(message).await.unwrap();
    }
    drop(served);
    let methods: BTreeSet<&str> = seen.iter().map(|(method, _)| method.as_str()).collect();
    let taken = seen
        .iter()
        .filter(|(_, code)| *code == Code::Ok as i32)
        .count();
    println!("{tried} requests of {} methods", methods.len());
    assert_eq!(methods.len(), 21, "the corpus lacks a method: {methods:?}");
    assert!(
        taken > 15,
        "requests that are all refused find nothing: {seen:?}"
    );
}
