//! What a server answers becomes the error with the right reaction, within the call's time, and without secrets.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use skep_blob::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Long enough that a busy machine answers within a third of it.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// A store whose server gives this answer to every request; none hangs.
async fn store(answer: Option<(&'static str, &'static str)>) -> S3BlobStore {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while connection
                    .read(&mut request)
                    .await
                    .is_ok_and(|read| read > 0)
                {
                    let Some((status, body)) = answer else {
                        continue;
                    };
                    let len = body.len();
                    let text = format!("HTTP/1.1 {status}\r\ncontent-length: {len}\r\n\r\n{body}");
                    connection.write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    });
    connect(endpoint)
}

fn connect(endpoint: String) -> S3BlobStore {
    let credentials = Credentials::Given {
        access_key: "AKIAEXAMPLE".into(),
        secret_key: "hushhush".into(),
    };
    let config = S3Config {
        endpoint: Some(endpoint),
        region: Some("us-east-1".into()),
        credentials,
        api_call_timeout: CALL_TIMEOUT,
        ..S3Config::new("bucket")
    };
    S3BlobStore::new(&config).unwrap()
}

#[tokio::test]
async fn answers_become_errors_with_the_right_reaction() {
    use BlobErrorKind::{NotFound, NotSupported, Other, Timeout, Unauthorized, Unreachable};
    let refused = "<Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message>\
                   <AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId><StringToSign>hushhush</StringToSign></Error>";
    for (status, body, expected) in [
        ("403 Forbidden", refused, Unauthorized),
        (
            "403 Forbidden",
            "<Error><Code>AccessDenied</Code></Error>",
            Unauthorized,
        ),
        (
            "404 Not Found",
            "<Error><Code>NoSuchKey</Code></Error>",
            NotFound,
        ),
        (
            "404 Not Found",
            "<Error><Code>NoSuchBucket</Code></Error>",
            Other,
        ),
        (
            "501 Not Implemented",
            "<Error><Code>NotImplemented</Code></Error>",
            NotSupported,
        ),
        (
            "503 Slow Down",
            "<Error><Code>SlowDown</Code></Error>",
            Unreachable,
        ),
        ("500 Internal Server Error", "", Unreachable),
    ] {
        let e = store(Some((status, body)))
            .await
            .get("a/b")
            .await
            .unwrap_err();
        // Server errors are tried again, and told before the call's time is over, unless the machine is too busy for that.
        let late = expected == Unreachable && e.kind() == Timeout;
        assert!(late || e.kind() == expected, "{status} {body}: {e:?}");
        let text = format!("{e} {e:?}");
        assert!(!text.contains("hush") && !text.contains("AKIA"), "{text}");
        assert!(text.contains("a/b") && text.contains("bucket"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_or_is_not_there_fails_within_the_calls_time() {
    let e = store(None).await.put("a", "x".into()).await.unwrap_err();
    assert!(e.is_transient(), "{e:?}");
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let e = connect(format!("http://{nobody}"))
        .get("a")
        .await
        .unwrap_err();
    assert!(e.is_transient(), "{e:?}");
}

#[tokio::test]
async fn of_an_object_that_ends_before_the_range_nothing_is_read() {
    let answer = (
        "416 Range Not Satisfiable",
        "<Error><Code>InvalidRange</Code></Error>",
    );
    let store = store(Some(answer)).await;
    assert_eq!(store.get_range("a", 0..10).await.unwrap(), "");
}

#[tokio::test]
async fn the_probe_says_what_to_change() {
    let no_bucket = Some(("404 Not Found", "<Error><Code>NoSuchBucket</Code></Error>"));
    let e = probe(&store(no_bucket).await, "n").await.unwrap_err();
    assert!(e.to_string().contains("create the bucket"), "{e}");
}
