//! Whole brokers with TLS, and with clients that must show who they are.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::certificates::secure;
use common::{Place, free_port, repository, request, text_of};
use skep_tls::testkit::Authority;

/// A new certificate for 127.0.0.1 that nobody but its holder trusts, and its key, as files.
fn certificate(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let [certificate, key] = ["pem", "key"].map(|kind| directory.join(format!("{name}.{kind}")));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

fn with_tls(certificate: &Path, key: &Path) -> Place {
    let mut place = Place::without_store(1);
    for (name, value) in [
        ("ENABLED", "true"),
        ("CERTIFICATECHAINPATH", certificate.to_str().unwrap()),
        ("PRIVATEKEYPATH", key.to_str().unwrap()),
    ] {
        place.set(&format!("ZEEBE_BROKER_GATEWAY_SECURITY_{name}"), value);
    }
    place
}

#[test]
#[ignore = "needs zbctl, which ./test installs"]
fn zbctl_is_served_over_tls_if_it_trusts_the_certificate() {
    let keys = tempfile::tempdir().unwrap();
    let (ours, key) = certificate(keys.path(), "server");
    let (other, _) = certificate(keys.path(), "other");
    let place = with_tls(&ours, &key);
    let zbctl = repository().join(".tools/bin/zbctl");
    let status = |arguments: &[&str]| {
        let mut command = place.command(zbctl.to_str().unwrap());
        command.arg("status").args(arguments).output().unwrap()
    };
    let broker = place.start();
    let served = status(&["--certPath", ours.to_str().unwrap()]);
    assert!(served.status.success(), "{}", text_of(&served));
    assert!(
        text_of(&served).contains("Partition 1 : Leader"),
        "{}",
        text_of(&served)
    );
    for strange in [
        vec!["--certPath", other.to_str().unwrap()],
        vec!["--insecure"],
    ] {
        let refused = status(&strange);
        assert!(!refused.status.success(), "{}", text_of(&refused));
    }
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_broker_does_not_start_with_a_certificate_that_it_cannot_use() {
    let keys = tempfile::tempdir().unwrap();
    let (certificate_file, key) = certificate(keys.path(), "server");
    let (_, other_key) = certificate(keys.path(), "other");
    for (certificate, key, named) in [
        (keys.path().join("absent.pem"), key, "absent.pem"),
        (certificate_file, other_key, "other.key"),
    ] {
        let (code, text) = with_tls(&certificate, &key).fails(&["broker"]);
        assert_eq!(code, 3, "{text}");
        assert!(
            text.contains("TLS of the gateway") && text.contains(named),
            "{text}"
        );
    }
}

#[test]
fn clients_that_do_not_say_who_they_are_are_not_let_in() {
    let mut place = Place::without_store(1);
    let rest = free_port();
    for (name, value) in [
        ("ZEEBE_BROKER_GATEWAY_SECURITY_AUTHENTICATION_MODE", "BASIC"),
        (
            "ZEEBE_BROKER_GATEWAY_SECURITY_AUTHENTICATION_BASIC_USERS",
            "demo:sesame",
        ),
        ("CAMUNDA_REST_ENABLED", "true"),
        ("SERVER_PORT", &rest.to_string()),
    ] {
        place.set(name, value);
    }
    let broker = place.start();
    let (code, text) = place.fails(&["status"]);
    assert_eq!(code, 6, "{text}");
    assert!(text.contains("authorization"), "{text}");
    assert_eq!(request(rest, "GET", "/v2/topology", "").0, 401);
    // Operators have a port of their own.
    assert_eq!(place.get("/ready").0, 204);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn the_command_line_works_with_a_broker_that_is_secured_in_every_way() {
    let keys = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let trusted = authority.file(keys.path(), "authority");
    let files = authority.sign(keys.path(), "server");
    let own = authority.sign(keys.path(), "operator");
    let mut place = Place::new(1);
    secure(&mut place, "ZEEBE_BROKER_GATEWAY", &files, None);
    let [certificate, key, trusted] =
        [&files.certificate, &files.key, &trusted].map(|path| path.to_str().unwrap().to_owned());
    for (name, value) in [
        ("ZEEBE_BROKER_GATEWAY_SECURITY_AUTHENTICATION_MODE", "BASIC"),
        (
            "ZEEBE_BROKER_GATEWAY_SECURITY_AUTHENTICATION_BASIC_USERS",
            "demo:sesame",
        ),
        ("MANAGEMENT_SERVER_SSL_CERTIFICATE", &certificate),
        ("MANAGEMENT_SERVER_SSL_CERTIFICATEPRIVATEKEY", &key),
        ("MANAGEMENT_SERVER_SSL_TRUSTCERTIFICATE", &trusted),
    ] {
        place.set(name, value);
    }
    let broker = place.start();
    let (code, text) = place.fails(&["status"]);
    assert_eq!(code, 4, "{text}");
    let (code, text) = place.fails(&["status", "--insecure=false"]);
    assert!(code == 2 || text.contains("UnknownIssuer"), "{text}");
    place.set("ZEEBE_CA_CERTIFICATE_PATH", &trusted);
    let (code, text) = place.fails(&["status"]);
    assert_eq!(code, 6, "it does not say who it is: {text}");
    let (code, text) = place.fails(&["status", "--username", "demo", "--password", "open"]);
    assert_eq!(code, 6, "{text}");
    place.set("CAMUNDA_BASIC_AUTH_USERNAME", "demo");
    place.set("CAMUNDA_BASIC_AUTH_PASSWORD", "sesame");
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
    place.skep(&["start", "order", "--count", "3"]);
    let worked = place.skep(&["work", "payment", "--max", "3"]);
    assert!(worked.contains("Completed 3 jobs"), "{worked}");

    let management = place.variable("SKEP_MANAGEMENT").replace("http:", "https:");
    place.set("SKEP_MANAGEMENT", &management);
    let (code, text) = place.fails(&["backup", "take", "1"]);
    assert_eq!(code, 4, "it shows no certificate: {text}");
    place.set("SKEP_TLS_CERTIFICATE", own.certificate.to_str().unwrap());
    place.set("SKEP_TLS_KEY", own.key.to_str().unwrap());
    let taken = place.skep(&["backup", "take", "1", "--wait"]);
    assert!(!taken.contains("sesame"), "{taken}");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn new_certificates_are_used_without_a_restart_and_broken_ones_are_not() {
    let keys = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let [trusted_old, trusted_new] =
        [(&old, "old"), (&new, "new")].map(|(authority, name)| authority.file(keys.path(), name));
    let files = old.sign_until(keys.path(), "server", 2090);
    let mut place = Place::without_store(1);
    secure(&mut place, "ZEEBE_BROKER_GATEWAY", &files, None);
    let broker = place.start();
    let metric = |name: &str| {
        let metrics = place.get("/actuator/prometheus").1;
        let mut lines = metrics.lines();
        let line = lines.find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {metrics}"))
            .trim()
            .to_owned()
    };
    let until = |name: &str, value: &str| {
        let end = Instant::now() + Duration::from_secs(120);
        while metric(name) != value {
            assert!(Instant::now() < end, "{name} does not become {value}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let served = |trusted: &Path| {
        let trusted = trusted.to_str().unwrap();
        let output = place.run(&["status", "--tls-ca", trusted]);
        output.status.success()
    };
    let expires = "skep_certificate_expiration_timestamp_seconds{server=\"gateway\"}";
    let renewals = "skep_certificate_renewals_total{server=\"gateway\",result=";
    let (renewed, refused) = (
        format!("{renewals}\"renewed\"}}"),
        format!("{renewals}\"refused\"}}"),
    );
    assert_eq!(metric(expires), "3786912000");
    assert!(served(&trusted_old) && !served(&trusted_new));

    std::fs::write(&files.certificate, "no certificate").unwrap();
    until(&refused, "1");
    assert_eq!(metric(expires), "3786912000");
    assert!(served(&trusted_old));

    new.sign_until(keys.path(), "server", 2091);
    until(&renewed, "1");
    assert_eq!(metric(expires), "3818448000");
    assert!(!served(&trusted_old) && served(&trusted_new));
    assert_eq!(broker.stop(), Some(0));
}
