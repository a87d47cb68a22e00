//! Tokens signed here, checked with keys that a server of this test gives out.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};
use skep_auth::{Authenticator, Denied, KeySource, OidcOptions, Peer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A key of the provider.
struct Key {
    id: &'static str,
    pair: KeyPair,
}

impl Key {
    fn new(id: &'static str) -> Key {
        let pair = KeyPair::generate().unwrap();
        Key { id, pair }
    }

    fn public(&self) -> Value {
        // An uncompressed point: 4, x, y.
        let point = self.pair.public_key_raw();
        let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
               "x": encoded(&point[1..33]), "y": encoded(&point[33..65])})
    }

    fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.to_owned());
        let key = EncodingKey::from_ec_pem(self.pair.serialize_pem().as_bytes()).unwrap();
        format!("Bearer {}", encode(&header, claims, &key).unwrap())
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn claims(issuer: &str) -> Value {
    json!({"iss": issuer, "aud": ["zeebe-api", "other"], "sub": "worker", "exp": now() + 600})
}

/// An identity provider whose keys can be changed; gives its address.
async fn provider(keys: Arc<Mutex<Value>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let described = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")});
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let body = match request.split(' ').nth(1) {
                Some("/.well-known/openid-configuration") => described.clone(),
                Some("/keys") => keys.lock().unwrap().clone(),
                path => panic!("{path:?} is asked for"),
            };
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    issuer
}

/// A connection, each from an address of its own.
fn peer() -> Peer {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let address = Ipv4Addr::from(NEXT.fetch_add(1, Ordering::Relaxed));
    Peer::new(address.into())
}

async fn authenticator(issuer: &str) -> Authenticator {
    let options = OidcOptions {
        issuer: issuer.to_owned(),
        audience: "zeebe-api".to_owned(),
        keys: None,
    };
    Authenticator::oidc(options).await.unwrap()
}

#[tokio::test]
async fn only_a_token_of_the_provider_for_this_cluster_and_this_time_is_let_in() {
    let (key, stranger) = (Key::new("a"), Key::new("a"));
    let keys = Arc::new(Mutex::new(json!({"keys": [key.public()]})));
    let issuer = provider(keys).await;
    let authenticator = authenticator(&issuer).await;
    let with = |name: &str, value: Value| {
        let mut claims = claims(&issuer);
        claims[name] = value;
        key.sign(&claims)
    };
    let good = key.sign(&claims(&issuer));
    let none = format!(
        "Bearer {}.{}.",
        BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        BASE64_URL_SAFE_NO_PAD.encode(claims(&issuer).to_string())
    );
    let mut cut = good.clone();
    cut.pop();
    for (header, expected) in [
        (good.clone(), Ok(())),
        (good.replace("Bearer", "bearer"), Ok(())),
        (with("exp", json!(now() - 600)), Err(Denied::Time)),
        (with("nbf", json!(now() + 600)), Err(Denied::Time)),
        (with("aud", json!("other")), Err(Denied::Audience)),
        (with("iss", json!("http://other")), Err(Denied::Audience)),
        (stranger.sign(&claims(&issuer)), Err(Denied::Token)),
        (cut, Err(Denied::Token)),
        (none, Err(Denied::Token)),
        ("Bearer ".to_owned(), Err(Denied::Token)),
        (
            format!("Bearer {}", "a".repeat(100_000)),
            Err(Denied::Token),
        ),
        ("Basic YTpi".to_owned(), Err(Denied::Scheme("Bearer"))),
    ] {
        let checked = authenticator.check(Some(header.as_bytes()), &peer());
        assert_eq!(checked, expected, "{header}");
    }
    assert_eq!(authenticator.check(None, &peer()), Err(Denied::Missing));
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_found() {
    let (old, new) = (Key::new("old"), Key::new("new"));
    let keys = Arc::new(Mutex::new(json!({"keys": [old.public()]})));
    let issuer = provider(Arc::clone(&keys)).await;
    let authenticator = authenticator(&issuer).await;
    let token = new.sign(&claims(&issuer));
    assert_eq!(
        authenticator.check(Some(token.as_bytes()), &peer()),
        Err(Denied::Token)
    );
    *keys.lock().unwrap() = json!({"keys": [old.public(), new.public()]});
    let found = async {
        while authenticator
            .check(Some(token.as_bytes()), &peer())
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found)
        .await
        .expect("the new key is read when a token names it");
}

#[tokio::test]
async fn a_provider_without_keys_is_told_at_the_start() {
    let options = OidcOptions {
        issuer: "https://id.example".to_owned(),
        audience: "zeebe-api".to_owned(),
        keys: Some(KeySource::File("/absent/keys.json".into())),
    };
    let error = Authenticator::oidc(options).await.err().unwrap();
    assert!(error.to_string().contains("/absent/keys.json"), "{error}");
}
